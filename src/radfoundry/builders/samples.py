"""Making `samples` rows: one shape for every builder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radfoundry.builders.wording import choose
from radfoundry.ids import make_id
from radfoundry.protocols import Batch
from radfoundry.records import Image, MadeBy, Part, Region, Sample, Study, Turn

__all__ = ["SampleMaker", "StudyRows", "studies_of"]


@dataclass(frozen=True)
class StudyRows:
    """A study of a wave with its images and their regions."""

    study: Study
    images: tuple[Image, ...]
    regions: tuple[Region, ...]

    def regions_of(self, image: Image) -> list[Region]:
        """Return the regions of one image."""
        return [r for r in self.regions if r.image_id == image.image_id]


def studies_of(batch: Batch) -> list[StudyRows]:
    """Return the wave's studies that have an image or a report, in order."""
    out = []
    for study in batch.table("studies"):
        images = tuple(i for i in batch.table("images") if i.study_id == study.study_id)
        ids = {i.image_id for i in images}
        out.append(StudyRows(study, images, tuple(r for r in batch.table("regions") if r.image_id in ids)))
    return out


@dataclass(frozen=True)
class SampleMaker:
    """Makes the samples of one study."""

    study: Study
    made_by: MadeBy

    def ask(
        self,
        task: str,
        form: str,
        image_ids: Sequence[str],
        values: dict[str, str],
        evidence: Sequence[str],
        *,
        answer_kind: str = "open",
        choices: Sequence[str] = (),
        boxes: Sequence[tuple[int, ...]] = (),
        region_ids: Sequence[str] = (),
        about: str = "",
    ) -> Sample:
        """Return a one-question sample in the wording that its evidence picks; `about` is a region that the question points at."""
        wording = choose(task, form, "|".join((task, form, *evidence)), self.study.split)
        question, answer = wording.ask(values)
        return self.converse(
            task, image_ids, [(question, answer)], evidence,
            answer_kind=answer_kind, choices=choices, boxes=boxes, region_ids=region_ids, about=about,
        )  # fmt: skip

    def converse(
        self,
        task: str,
        image_ids: Sequence[str],
        exchanges: Sequence[tuple[str, str]],
        evidence: Sequence[str],
        *,
        answer_kind: str = "open",
        choices: Sequence[str] = (),
        boxes: Sequence[tuple[int, ...]] = (),
        region_ids: Sequence[str] = (),
        about: str = "",
    ) -> Sample:
        """Return a sample whose first turn shows the images in order, then asks."""
        shown = [Part("image", ref=image_id) for image_id in image_ids]
        shown += [Part("region", ref=about)] if about else []
        turns: list[Turn] = []
        for number, (question, answer) in enumerate(exchanges):
            turns.append(Turn("user", (*(shown if number == 0 else ()), Part("text", question))))
            turns.append(Turn("assistant", (Part("text", answer),)))
        return self.of_turns(
            task, image_ids, turns, evidence,
            answer_kind=answer_kind, choices=choices, boxes=boxes, region_ids=region_ids,
        )  # fmt: skip

    def of_turns(
        self,
        task: str,
        image_ids: Sequence[str],
        turns: Sequence[Turn],
        evidence: Sequence[str],
        *,
        answer_kind: str = "open",
        choices: Sequence[str] = (),
        boxes: Sequence[tuple[int, ...]] = (),
        region_ids: Sequence[str] = (),
    ) -> Sample:
        """Return a sample of ready turns, images and text interleaved as they stand."""
        words = "\n".join(f"{turn.role}: {turn.text}" for turn in turns)
        return Sample(
            sample_id=make_id("sample", self.study.study_id, task, tuple(image_ids), tuple(evidence), words),
            study_id=self.study.study_id,
            image_ids=tuple(image_ids),
            task=task,
            turns=tuple(turns),
            answer_kind=answer_kind,
            choices=tuple(choices),
            boxes=tuple(boxes),
            region_ids=tuple(region_ids),
            evidence=tuple(evidence),
            split=self.study.split,
            licence=self.study.licence,
            made_by=self.made_by,
        )
