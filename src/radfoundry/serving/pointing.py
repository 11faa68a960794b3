"""Where an answer points: sentences tied to regions, boxes and masks brought back to the scan, as the API tells them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from radfoundry import anatomy
from radfoundry.geometry import Box, Side
from radfoundry.grounding.linker import RegionMention, RuleLinker
from radfoundry.grounding.linking import Places as Linkable
from radfoundry.grounding.linking import link_mention
from radfoundry.language.sentences import split_sentences
from radfoundry.records import Region, Sentence
from radfoundry.serving.conversation import Conversation
from radfoundry.serving.desk import Answered
from radfoundry.serving.images import SharedImage, region_json, source_box
from radfoundry.serving.places import Places
from radfoundry.viewing import region_colour, region_label

__all__ = ["NOTICE", "Pointing"]

NOTICE = "Research use only"
_MOST_MARKS = 4  # of one sentence: one that lists all ribs lights no single place


@dataclass
class Pointing:
    """The places of one answer while it is written, and the whole of them at its end."""

    talk: Conversation
    places: Places
    sentences: bool = True
    """Whether the answer is prose; JSON has no sentences."""
    marks: list[dict[str, Any]] = field(default_factory=list)
    _read: int = 0

    def grown(self, text: str, finished: bool = False) -> list[dict[str, Any]]:
        """Return the marks of sentences that are complete now and were not before."""
        if not self.sentences:
            return []
        spans = [span for span in split_sentences(text) if span[0] >= self._read]
        if not finished:
            spans = spans[:-1]  # the last one may go on
        if not spans:
            return []
        self._read = spans[-1][1]
        new = [mark for span in spans for mark in self._marks_of(text, *span)]
        self.marks += new
        return new

    def _marks_of(self, text: str, start: int, end: int) -> Iterable[dict[str, Any]]:
        words = text[start:end]
        mentions = _linker().link([words])[0]
        found: dict[str, tuple[Region, SharedImage]] = {}
        for image in self.talk.images:
            for region in _spoken_of(words, mentions, self.places.regions(image)):
                found.setdefault(region.region_id, (region, image))
        if len(found) > _MOST_MARKS:
            return []
        return [_mark(start, end, region, image) for region, image in found.values()]

    def whole(self, answered: Answered, seconds: float) -> dict[str, Any]:
        """Return the `radfoundry` object of a finished answer; masks are kept for whoever fetches them."""
        answer = answered.answer
        self.grown(answer.text, finished=True)
        masks, boxes = self._masks(answered), self._boxes(answered)
        for drawn, at in [*masks, *boxes]:
            self.marks += self._drawn_marks(answer.text, drawn, at)
        self.marks.sort(key=lambda mark: (mark["start"], mark["end"]))
        about = self.talk.about
        return {
            "notice": NOTICE,
            "about": {"images": list(self.talk.study), "region": about.label if about else None},
            "marks": self.marks,
            "boxes": [box for box, _ in boxes],
            "masks": [mask for mask, _ in masks],
            "confidence": round(answer.confidence, 4),
            "seconds": round(seconds, 3),
        }

    def _masks(self, answered: Answered) -> list[tuple[dict[str, Any], int]]:
        answer = answered.answer
        out = []
        for mask, at in zip(answered.study.masks_back(answer) if answer.masks else [], answer.mask_at, strict=False):
            box = Box.of_mask(mask)
            if box is None:
                continue
            image = self.talk.images[answer.image]
            label, _ = self._what(answer.text, at)
            mask_id = f"msk_{secrets.token_hex(12)}"
            self.places.keep_drawn(mask_id, mask, label, image)
            inside = np.argwhere(mask[box.slices]) + np.asarray(box.start)
            mm3 = len(inside) * image.grid.voxel_mm3 if image.grid.unit == "mm" else 0.0
            centroid = [round(float(v), 3) for v in image.grid.to_world(inside.mean(axis=0))]
            out.append((
                {"mask_id": mask_id, "image_id": image.image_id, "label": label, "colour": region_colour(label),
                 "label_value": 1, "voxels": len(inside), "mm3": round(mm3, 3), "box": list(box.flat), "centroid": centroid},
                at,
            ))  # fmt: skip
        return out

    def _boxes(self, answered: Answered) -> list[tuple[dict[str, Any], int]]:
        answer = answered.answer
        out = []
        for box, at in zip(answered.study.boxes_back(answer) if answer.boxes else [], answer.box_at, strict=False):
            if box is None:
                continue
            image = self.talk.images[answer.image]
            label, _ = self._what(answer.text, at)
            out.append((
                {"image_id": image.image_id, "label": label, "colour": region_colour(label),
                 "box": list(box.flat), "source_box": source_box(image, box)},
                at,
            ))  # fmt: skip
        return out

    def _what(self, text: str, at: int) -> tuple[str, Side]:
        """What is drawn: what the sentence names that it belongs to, else what the question is about."""
        span = _sentence_at(text, at) if self.sentences else None
        for words in (text[slice(*span)] if span else "", self.talk.asked):
            for mention in _linker().link([words])[0] if words else ():
                return region_label(mention.name, mention.side), mention.side
        return (self.talk.about.label, "none") if self.talk.about else ("answer", "none")

    def _drawn_marks(self, text: str, drawn: dict[str, Any], at: int) -> list[dict[str, Any]]:
        span = _sentence_at(text, at) if self.sentences else None
        if span is None:
            return []
        _, side = self._what(text, at)
        own = {"start": span[0], "end": span[1], "image_id": drawn["image_id"], "label": drawn["label"], "side": side,
               "colour": drawn["colour"], "region_id": None, "box": drawn["box"]}  # fmt: skip
        return [{**own, **{key: drawn.get(key) for key in ("mask_id", "label_value", "centroid")}}]


def _spoken_of(words: str, mentions: Sequence[RegionMention], regions: Sequence[Region]) -> list[Region]:
    """The regions that a sentence names, and the lesions (which anatomy does not know) that it speaks of by name."""
    by_id = {region.region_id: region for region in regions}
    sentence = Sentence("", "", "", 0, 0, len(words), words)
    linkable = Linkable(tuple(regions))
    links = [link for mention in mentions for link in link_mention(sentence, mention, linkable)]
    found = [by_id[link.region_id] for link in links if link.region_id is not None]
    lower = words.lower()
    found += [r for r in regions if not anatomy.is_known(r.name) and r.name.replace("_", " ").lower() in lower]
    return found


def _mark(start: int, end: int, region: Region, image: SharedImage) -> dict[str, Any]:
    row = region_json(region, image)
    keys = ("image_id", "label", "side", "colour", "region_id", "mask_id", "label_value", "box", "centroid")
    return {"start": start, "end": end, **{key: row[key] for key in keys}}


def _sentence_at(text: str, at: int) -> tuple[int, int] | None:
    """The sentence that holds a character, or the next one; the last where none follows."""
    spans = list(split_sentences(text))
    return next((span for span in spans if at < span[1]), spans[-1] if spans else None)


@cache
def _linker() -> RuleLinker:
    return RuleLinker()
