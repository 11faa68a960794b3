"""`build instruction`: interleaved conversations over 2D and 3D images (RadFM).

studies -> reports, regions -> two images in one conversation, each introduced where it is spoken of, then a question about both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radfoundry.builders.modality import modality_words
from radfoundry.builders.samples import SampleMaker, StudyRows, studies_of
from radfoundry.builders.steps import FindRegions, LinkSentences, ReadReports, ReadStudies
from radfoundry.corpus import Pipeline
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Image, Part, Sample, Turn

__all__ = ["Interleave", "pipeline"]


def pipeline(root: Path, salt: str) -> Pipeline:
    """Return the steps of the instruction corpus."""
    # four studies at a time, so that a study with one image finds a partner
    steps = (ReadStudies(salt, root), ReadReports(), FindRegions(), LinkSentences(), Interleave())
    return Pipeline("instruction", steps, batch_rows=4)


@dataclass(frozen=True)
class Interleave:
    """Pair a study's images, or where it has one, pair it with the next study of the same split in its batch."""

    name: str = "interleave"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "images", "regions")
    fills: tuple[str, ...] = ("samples",)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing to set."""
        return {}

    def run(self, batch: Batch) -> Batch:
        """Return one conversation a pair of images that differ in what they hold."""
        out = Batch()
        made_by = signature(self, "templates")
        studies = [rows for rows in studies_of(batch) if rows.images]
        for place, rows in enumerate(studies):
            maker = SampleMaker(rows.study, made_by)
            if len(rows.images) > 1:
                out.add("samples", *_talk(maker, rows, rows.images[0], rows, rows.images[1]))
                continue
            following = (o for o in studies[place + 1 :] if o.study.split == rows.study.split)
            partner = next(following, None)
            if partner is not None:
                out.add("samples", *_talk(maker, rows, rows.images[0], partner, partner.images[0]))
        return out


def _talk(maker: SampleMaker, rows: StudyRows, first: Image, other_rows: StudyRows, second: Image) -> list[Sample]:
    """Return a conversation that says what the first image is, shows the second, and asks which of them holds a region."""
    here = {r.name: r for r in rows.regions_of(first)}
    there = {r.name: r for r in other_rows.regions_of(second)}
    only = sorted(here.keys() - there.keys()) or sorted(there.keys() - here.keys())
    turns = [
        Turn(
            "user",
            (Part("text", "Here is the first image."), Part("image", ref=first.image_id), Part("text", "What is it?")),
        ),
        Turn("assistant", (Part("text", _words(first)),)),
        Turn("user", (Part("text", "And the second?"), Part("image", ref=second.image_id))),
        Turn("assistant", (Part("text", _words(second)),)),
    ]
    evidence = [first.image_id, second.image_id]
    regions: Sequence[str] = ()
    if only:
        region = here.get(only[0]) or there[only[0]]
        answer = "The first" if only[0] in here else "The second"
        turns += [
            Turn("user", (Part("text", f"Which of the two shows the {only[0]}?"),)),
            Turn("assistant", (Part("text", answer),)),
        ]
        evidence.append(region.region_id)
        regions = [region.region_id]
    return [maker.of_turns("chat", [first.image_id, second.image_id], turns, evidence, region_ids=regions)]


def _words(image: Image) -> str:
    words = modality_words(image.modality)
    phrase = words.phrase if words else "an image"
    return f"This is {phrase}."
