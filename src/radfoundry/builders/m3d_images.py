"""M3D's questions about an image as such: modality, plane, phase, and which organs are in view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radfoundry import anatomy
from radfoundry.builders.m3d_choices import offered, ranked
from radfoundry.builders.m3d_view import PHASES, PLANES, VIEWS, organs_out_of_view, phase_of, plane_of
from radfoundry.builders.modality import MODALITY_CHOICES, modality_words
from radfoundry.builders.samples import SampleMaker, StudyRows, studies_of
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Image, Region, Sample, Sentence

__all__ = ["YES_NO", "AskImages"]

YES_NO = ("yes", "no")


@dataclass(frozen=True)
class AskImages:
    """Up to seven questions an image; nothing is asked that neither the header, the report nor the label map says.

    regions: ask about organs among these alone, and not about plane and phase; about all if empty.
    """

    regions: tuple[str, ...] = ()
    name: str = "ask-m3d-images"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "images", "regions", "reports", "sentences")
    fills: tuple[str, ...] = ("samples",)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Which organs are asked about."""
        return {"regions": self.regions}

    def run(self, batch: Batch) -> Batch:
        """Return the questions about every image."""
        out = Batch()
        made_by = signature(self, "templates")
        for rows in studies_of(batch):
            maker = SampleMaker(rows.study, made_by)
            # of several volumes in one study nothing tells which one the technique speaks of
            told = _technique(batch, rows) if len(rows.images) == 1 else []
            for image in rows.images:
                regions = [r for r in rows.regions_of(image) if not self.regions or r.name in self.regions]
                out.add("samples", *_modality(maker, image), *_organs(maker, image, regions))
                if not self.regions:
                    out.add("samples", *_plane(maker, image), *_phase(maker, image, told))
        return out


def _technique(batch: Batch, rows: StudyRows) -> list[Sentence]:
    reports = {r.report_id for r in batch.table("reports") if r.study_id == rows.study.study_id}
    return [s for s in batch.table("sentences") if s.report_id in reports and s.section == "technique"]


def _modality(maker: SampleMaker, image: Image) -> list[Sample]:
    words = modality_words(image.modality)
    return [_choice(maker, image, "modality", "choice", words.short, MODALITY_CHOICES)] if words else []


def _plane(maker: SampleMaker, image: Image) -> list[Sample]:
    plane = plane_of(image)
    if plane:
        return [_choice(maker, image, "plane", "choice", plane, PLANES)]
    if image.dimensions == 2 and image.view in VIEWS:
        return [_choice(maker, image, "plane", "view", image.view, VIEWS)]
    return []


def _phase(maker: SampleMaker, image: Image, technique: Iterable[Sentence]) -> list[Sample]:
    phase = phase_of(image, technique)
    if phase is None:
        return []
    evidence = [image.image_id] if phase.evidence == image.image_id else [image.image_id, phase.evidence]
    form = "agent-yes" if phase.agent else "agent-no"
    out = [maker.ask("phase", form, [image.image_id], {}, evidence, answer_kind="closed", choices=YES_NO)]
    if phase.name:
        out.append(_choice(maker, image, "phase", "choice", phase.name, PHASES, evidence))
    return out


def _choice(
    maker: SampleMaker,
    image: Image,
    task: str,
    form: str,
    answer: str,
    options: Sequence[str],
    evidence: Sequence[str] = (),
) -> Sample:
    """Ask for one of a fixed list; its order stays as it is, so that a letter means the same in every study."""
    ids, choices = [image.image_id], tuple(o[:1].upper() + o[1:] for o in options)
    values = {"answer": answer, "modality": answer}
    return maker.ask(task, form, ids, values, list(evidence) or ids, answer_kind="choice", choices=choices)


def _organs(maker: SampleMaker, image: Image, regions: Sequence[Region]) -> list[Sample]:
    """Ask for one region in view and, where that is sure, for one out of view and for the one in view among some out of view."""
    present = {r.name: r for r in regions if anatomy.is_structure(r.name)}
    if image.dimensions != 3 or not present:
        return []
    ids, key = [image.image_id], f"organ|{image.image_id}"
    here = present[ranked(key, present)[0]]
    values, evidence = {"region": here.name}, [here.region_id]
    out = [maker.ask("organ", "yes", ids, values, evidence, answer_kind="closed", choices=YES_NO)]
    absent = organs_out_of_view(regions)
    if not absent:
        return out
    labelled = [r.region_id for r in present.values()]
    values = {"region": ranked(key, absent)[0]}
    out.append(maker.ask("organ", "no", ids, values, labelled, answer_kind="closed", choices=YES_NO))
    organs = [name for name in present if anatomy.region(name).kind == "organ"]
    if organs:
        answer = ranked(f"{key}|choice", organs)[0]
        options = offered(f"{key}|{answer}", answer, absent)
        evidence = [present[answer].region_id, *(i for i in labelled if i != present[answer].region_id)]
        values = {"region": answer}
        out.append(maker.ask("organ", "choice", ids, values, evidence, answer_kind="choice", choices=options))
    return out
