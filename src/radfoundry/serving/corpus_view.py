"""A corpus as the server shows it: images that can be asked about, studies by filter, one study with everything that hangs on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from radfoundry.corpus import Corpus
from radfoundry.geometry import Orientation
from radfoundry.records import Image, Region
from radfoundry.serving.images import Labels, PixelCache, SharedImage, describe, region_json
from radfoundry.serving.refusals import Refusal
from radfoundry.viewing import region_label

__all__ = ["CorpusView", "Page"]


class Page(NamedTuple):
    """Some rows, and where to go on; None at the end."""

    rows: list[dict[str, Any]]
    next: str | None


class CorpusView:
    """Read-only; tables that lists are made of are read once, the rest when it is asked for."""

    def __init__(self, corpus: Corpus, pixels: PixelCache) -> None:
        self.corpus, self._pixels = corpus, pixels
        self._image = lru_cache(maxsize=1024)(self._find_image)

    @property
    def name(self) -> str:
        """What the corpus is called."""
        return str(self.corpus.about.get("name") or self.corpus.path.name)

    @property
    def builder(self) -> str:
        """The kind of corpus."""
        return str(self.corpus.about["pipeline"])

    def image(self, image_id: str) -> SharedImage | None:
        """Return an image of the corpus, None for another id."""
        return self._image(image_id)

    def images_of(self, study_id: str) -> list[SharedImage]:
        """Return a study's images. Raises Refusal (404) for another id."""
        if study_id not in self.rows_by_study:
            raise _no_study()
        rows = self.corpus.rows("images", where=pc.field("study_id") == study_id)
        return [image for row in rows if (image := self._image(row.image_id)) is not None]

    def _find_image(self, image_id: str) -> SharedImage | None:
        rows: list[Image] = self.corpus.rows("images", where=pc.field("image_id") == image_id)
        if not rows:
            return None
        row = rows[0]
        regions: list[Region] = self.corpus.rows("regions", where=pc.field("image_id") == image_id)
        names: dict[str, dict[int, str]] = defaultdict(dict)
        for region in regions:
            names[region.label_set][region.label_value] = region.name

        def labels(label_set: str) -> Callable[[], Labels]:
            return lambda: Labels(self.corpus.labelmap(image_id, label_set), names[label_set])

        def load() -> npt.NDArray:
            return self._pixels.get(image_id, lambda: self.corpus.image(image_id)[0])

        return SharedImage(
            image_id,
            row.modality,
            row.grid,
            load,
            lambda: regions,
            {label_set: labels(label_set) for label_set in sorted(names)},
            _orientation(row),
            row.unit,
            row.view,
        )

    @cached_property
    def rows_by_study(self) -> dict[str, dict[str, Any]]:
        """Study id -> the row of the list of studies, in order of ids."""
        studies = self.corpus.table("studies").to_pylist()
        rows = {
            row["study_id"]: {
                "study_id": row["study_id"],
                "modalities": row["modalities"],
                "body_part": row["body_part"],
                "split": row["split"],
                "images": 0,
                "sentences": 0,
                "links": 0,
                "samples": 0,
                "findings": [],
            }
            for row in studies
        }
        for table, study_of in (
            ("images", self._column("images", "study_id")),
            ("sentences", self.study_of_sentence.values()),
            ("links", [self.study_of_sentence.get(s) for s in self._column("links", "sentence_id")]),
            ("samples", self._column("samples", "study_id")),
        ):
            for study_id in study_of:
                if study_id in rows:
                    rows[study_id][table] += 1
        self._add_findings(rows)
        return rows

    def _add_findings(self, rows: dict[str, dict[str, Any]]) -> None:
        found = self.corpus.table("findings", columns=["sentence_id", "concept", "presence"])
        for finding in found.filter(pc.field("presence") == "present").to_pylist():
            row = rows.get(self.study_of_sentence.get(finding["sentence_id"], ""))
            if row is not None and finding["concept"] not in row["findings"]:
                row["findings"].append(finding["concept"])

    def _column(self, table: str, column: str) -> list[str]:
        values: list[str] = self.corpus.table(table, columns=[column])[column].to_pylist()
        return values

    @cached_property
    def study_of_sentence(self) -> dict[str, str]:
        """Sentence id -> study id."""
        reports = self.corpus.table("reports", columns=["report_id", "study_id"]).to_pydict()
        study = dict(zip(reports["report_id"], reports["study_id"], strict=True))
        sentences = self.corpus.table("sentences", columns=["sentence_id", "report_id"]).to_pydict()
        pairs = zip(sentences["sentence_id"], sentences["report_id"], strict=True)
        return {sentence: study[report] for sentence, report in pairs if report in study}

    def about(self) -> dict[str, Any]:
        """Return name, row counts and the values that filters can take."""
        rows = self.rows_by_study.values()
        regions = self.corpus.table("regions", columns=["name", "side"]).group_by(["name", "side"]).aggregate([])
        rules = pc.unique(self.corpus.table("links", columns=["rule"])["rule"]).to_pylist()
        steps = {made["step"] for made in self.corpus.table("samples", columns=["made_by"])["made_by"].to_pylist()}
        return {
            "name": self.name,
            "counts": self.corpus.about["rows"],
            "filters": {
                "modality": sorted({m for row in rows for m in row["modalities"]}),
                "finding": sorted({f for row in rows for f in row["findings"]}),
                "split": sorted({row["split"] for row in rows if row["split"]}),
                "region": sorted({region_label(r["name"], r["side"]) for r in regions.to_pylist()}),
                "rule": sorted(rule for rule in rules if rule),
                "builder": sorted({self.builder, *steps}),
            },
        }

    def studies(self, modality: str, finding: str, split: str, after: str, limit: int) -> Page:
        """Return studies that fit all filters that are not empty, in order of ids."""
        rows = [
            row
            for study_id, row in sorted(self.rows_by_study.items())
            if study_id > after
            and (not modality or modality in row["modalities"])
            and (not finding or finding in row["findings"])
            and (not split or split == row["split"])
        ]
        return Page(rows[:limit], rows[limit - 1]["study_id"] if len(rows) > limit else None)

    def rejected(self, after: str, limit: int) -> Page:
        """Return rows of `rejected`; the cursor is a row number."""
        start = int(after) if after.isdecimal() else 0
        table = self.corpus.table("rejected")
        more = start + limit < table.num_rows
        return Page(table.slice(start, limit).to_pylist(), str(start + limit) if more else None)

    def study(self, study_id: str) -> dict[str, Any]:
        """Return a study with its images, reports, regions, links and samples. Raises Refusal (404) for another id."""
        if study_id not in self.rows_by_study:
            raise _no_study()
        hung = {t: self._rows(t, "study_id", [study_id]) for t in ("studies", "reports", "samples")}
        images = self.images_of(study_id)
        sentences = self._rows("sentences", "report_id", [row["report_id"] for row in hung["reports"]])
        sentences.sort(key=lambda row: (row["report_id"], row["index"]))
        ids = [row["sentence_id"] for row in sentences]
        return {
            "study": hung["studies"][0],
            "images": [describe(image) for image in images],
            "reports": hung["reports"],
            "sentences": sentences,
            "findings": self._rows("findings", "sentence_id", ids),
            "links": self._rows("links", "sentence_id", ids),
            "regions": [region_json(region, image) for image in images for region in image.regions()],
            "samples": hung["samples"],
        }

    def _rows(self, table: str, column: str, values: list[str]) -> list[dict[str, Any]]:
        found = self.corpus.table(table, where=pc.field(column).isin(pa.array(values, pa.string())))
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows


def _no_study() -> Refusal:
    return Refusal(
        404, "There is no such study.", "The corpus has none of that id.", "GET /v1/corpus/studies lists them."
    )


def _orientation(row: Image) -> Orientation:
    """Read "2,1,0;+-+"; canonical where a row has none."""
    axes, _, flips = row.orientation.partition(";")
    if not axes:
        return Orientation.of(row.grid)
    return Orientation(tuple(int(axis) for axis in axes.split(",")), tuple(flip == "-" for flip in flips))
