"""What readers judge: links and samples of a corpus as cases, in an order that is the same for all readers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from radfoundry.records import Link, Region, Sample
from radfoundry.serving.corpus_view import CorpusView
from radfoundry.serving.images import SharedImage, describe, region_json
from radfoundry.viewing import region_label

__all__ = ["Cases", "Filter", "Listed"]


class Listed(NamedTuple):
    """What lists and filters need of a case."""

    row_id: str
    study_id: str
    rule: str
    builder: str
    region: str
    confidence: float


class Filter(NamedTuple):
    """What a reader wants to judge; empty is anything."""

    kind: str = "link"
    rule: str = ""
    builder: str = ""
    region: str = ""
    max_confidence: float | None = None

    def takes(self, case: Listed) -> bool:
        """Say whether a case fits."""
        return (
            self.rule in ("", case.rule)
            and self.builder in ("", case.builder)
            and self.region in ("", case.region)
            and (self.max_confidence is None or case.confidence < self.max_confidence)
        )


class Cases:
    """The cases of one corpus: study by study, so that a scan is loaded once for all that is said about it."""

    def __init__(self, view: CorpusView) -> None:
        self.view = view

    def listed(self, kind: str) -> list[Listed]:
        """Return all links or all samples."""
        return self._links if kind == "link" else self._samples

    @cached_property
    def _regions(self) -> dict[str, str]:
        table = self.view.corpus.table("regions", columns=["region_id", "name", "side"]).to_pylist()
        return {row["region_id"]: region_label(row["name"], row["side"]) for row in table}

    @cached_property
    def _links(self) -> list[Listed]:
        columns = ["link_id", "sentence_id", "region_id", "name", "side", "rule", "confidence"]
        study = self.view.study_of_sentence
        rows = [
            Listed(
                row["link_id"],
                study[row["sentence_id"]],
                row["rule"],
                self.view.builder,
                self._regions.get(row["region_id"] or "") or region_label(row["name"], row["side"]),
                row["confidence"],
            )
            for row in self.view.corpus.table("links", columns=columns).to_pylist()
            if row["sentence_id"] in study
        ]
        return sorted(rows, key=lambda case: (case.study_id, case.row_id))

    @cached_property
    def _samples(self) -> list[Listed]:
        sure = {case.row_id: case.confidence for case in self._links}
        columns = ["sample_id", "study_id", "region_ids", "evidence", "made_by"]
        rows = [
            Listed(
                row["sample_id"],
                row["study_id"],
                "",
                row["made_by"]["step"],
                self._regions.get(row["region_ids"][0], "") if row["region_ids"] else "",
                min((sure[e] for e in row["evidence"] if e in sure), default=1.0),
            )
            for row in self.view.corpus.table("samples", columns=columns).to_pylist()
        ]
        return sorted(rows, key=lambda case: (case.study_id, case.row_id))

    @cached_property
    def by_id(self) -> dict[str, Listed]:
        """Row id -> case."""
        return {case.row_id: case for case in [*self._links, *self._samples]}

    def as_json(self, cases: Sequence[Listed]) -> list[dict[str, Any]]:
        """Return Case objects of the API, in the same order; rows are read once for all of them."""
        links = self._rows("links", "link_id", [case.row_id for case in cases])
        sentences = self._rows("sentences", "sentence_id", [link.sentence_id for link in links.values()])
        samples = self._rows("samples", "sample_id", [case.row_id for case in cases])
        return [
            self._link(case, links[case.row_id], sentences[links[case.row_id].sentence_id].text)
            if case.row_id in links
            else self._sample(case, samples[case.row_id])
            for case in cases
        ]

    def _rows(self, table: str, column: str, values: Sequence[str]) -> dict[str, Any]:
        wanted = pc.field(column).isin(pa.array(values, pa.string()))
        return {getattr(row, column): row for row in self.view.corpus.rows(table, where=wanted)}

    def _link(self, case: Listed, link: Link, sentence: str) -> dict[str, Any]:
        image, region = self._place(case, link.image_id, link.region_id)
        return self._case(case, "link", image, region, sentence, _claim(link, case.region), [])

    def _sample(self, case: Listed, sample: Sample) -> dict[str, Any]:
        region_id = sample.region_ids[0] if sample.region_ids else None
        image, region = self._place(case, sample.image_ids[0] if sample.image_ids else None, region_id)
        boxes = [list(box) for box in sample.boxes]
        return self._case(case, "sample", image, region, _question(sample), _answer(sample), boxes)

    def _place(
        self, case: Listed, image_id: str | None, region_id: str | None
    ) -> tuple[SharedImage | None, Region | None]:
        if image_id is None:
            images = self.view.images_of(case.study_id)
            return (images[0] if images else None), None
        image = self.view.image(image_id)
        regions = image.regions() if image else []
        return image, next((region for region in regions if region.region_id == region_id), None)

    def _case(
        self,
        case: Listed,
        kind: str,
        image: SharedImage | None,
        region: Region | None,
        sentence: str,
        claim: str,
        boxes: list[list[int]],
    ) -> dict[str, Any]:
        return {
            "row_id": case.row_id,
            "kind": kind,
            "study_id": case.study_id,
            "image": describe(image) if image else None,
            "sentence": sentence,
            "claim": claim,
            "region": region_json(region, image) if region and image else None,
            "boxes": boxes,
            "rule": case.rule,
            "builder": case.builder,
            "confidence": case.confidence,
        }


def _claim(link: Link, label: str) -> str:
    if link.region_id is None:
        return f"this sentence speaks of the {label}, which has no mask here: {link.reason}"
    return f"this sentence speaks of the {label}"


def _question(sample: Sample) -> str:
    return " ".join(turn.text for turn in sample.turns[:-1] if turn.role == "user")


def _answer(sample: Sample) -> str:
    return sample.turns[-1].text
