"""The rows of a corpus: one frozen dataclass a table. Every derived row says from what, by what, and how sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from radfoundry.geometry.grid import Grid
from radfoundry.geometry.laterality import Side

__all__ = [
    "ANSWER_KINDS",
    "SCHEMA_VERSION",
    "TABLES",
    "TASKS",
    "Description",
    "Finding",
    "Image",
    "Link",
    "MadeBy",
    "Measure",
    "Part",
    "Region",
    "Rejected",
    "Report",
    "Review",
    "Sample",
    "Section",
    "Sentence",
    "Study",
    "Turn",
]

SCHEMA_VERSION = 1

Presence = Literal["present", "absent", "uncertain"]
Split = Literal["train", "validation", "test"]

TASKS = (
    "report", "region-report", "presence", "abnormality", "location", "size", "disorder", "plane", "phase", "organ", "modality",
    "diagnosis", "rationale", "retrieval", "rec", "reg", "segment", "refer-segment", "reason-segment", "description", "summary",
    "chat",
)  # fmt: skip
ANSWER_KINDS = ("open", "closed", "choice", "box", "mask")


@dataclass(frozen=True, slots=True)
class MadeBy:
    """What made a row: a step, its version, the hash of its settings, and the model or rule."""

    step: str
    version: str
    settings: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """An examination. `modalities` is sorted; `age_group` is "", "child", "adult" or "senior"; `sex` is "", "F" or "M"."""

    study_id: str
    patient_id: str
    modalities: tuple[str, ...]
    body_part: str = ""
    age_group: str = ""
    sex: str = ""
    prior_study_id: str | None = None
    split: str = ""
    licence: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """A volume or a picture. shape, spacing: (z, y, x) or (y, x) of the canonical grid; origin: (x, y, z) LPS; direction: row-major.

    grid_unit: "mm" or "pixel"; unit: "HU", "SUV", "" ...; view: "volume", "frontal", "lateral", "" ...; path: below the source folder;
    orientation: the stored axis order, for the way back ("2,1,0" axes and "+-+" flips, joined by ";").
    """

    image_id: str
    study_id: str
    modality: str
    dimensions: int
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    grid_unit: str
    unit: str = ""
    view: str = ""
    contrast: str = ""
    path: str = ""
    series_key: str = ""
    orientation: str = ""
    notes: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        """The canonical grid."""
        return Grid(
            tuple(self.shape),
            tuple(self.spacing),
            tuple(self.origin),
            tuple(self.direction),
            "mm" if self.grid_unit == "mm" else "pixel",
        )


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report: text[start:end]."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Report:
    """A report with its sections (findings, impression, history, comparison, technique)."""

    report_id: str
    study_id: str
    language: str
    text: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence: text == report.text[start:end]."""

    sentence_id: str
    report_id: str
    section: str
    index: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A measured extent: one to three values in mm, and the words it was read from."""

    values_mm: tuple[float, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement in a sentence: sentence.text[start:end]. Absent is a fact; not mentioned is no row."""

    finding_id: str
    sentence_id: str
    concept: str
    presence: str
    temporal: str
    side: Side
    count: int | None
    measurements: tuple[Measure, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Region:
    """A thing with a place in one image: the samples of label set `label_set` that equal `label_value`.

    box: half-open (z0, y0, x0, z1, y1, x1) or (y0, x0, y1, x1) on the image's canonical grid; mm3 is mm2 in a picture of known
    spacing and 0 where the unit is the pixel; centroid: LPS (x, y(, z)).
    """

    region_id: str
    image_id: str
    name: str
    side: Side
    label_set: str
    label_value: int
    voxels: int
    mm3: float
    box: tuple[int, ...]
    centroid: tuple[float, ...]
    mean: float
    sd: float
    made_by: MadeBy


@dataclass(frozen=True, slots=True)
class Link:
    """A sentence or finding tied to a region, or the reason why it cannot be."""

    link_id: str
    sentence_id: str
    finding_id: str | None
    image_id: str | None
    name: str
    side: Side
    region_id: str | None
    groundable: bool
    reason: str
    terms: tuple[str, ...]
    rule: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Description:
    """A text about an image or region; `part` is modality, structure, roi, texture or relation; `facts` are what it rests on."""

    description_id: str
    image_id: str
    region_id: str | None
    part: str
    text: str
    facts: tuple[str, ...]
    made_by: MadeBy


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a turn: kind "text" (text), "image" (ref is an image id) or "region" (ref is a region id)."""

    kind: str
    text: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says: role "system", "user" or "assistant", and its parts in order."""

    role: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The words of the turn, its images and regions left out."""
        return " ".join(part.text for part in self.parts if part.kind == "text").strip()


@dataclass(frozen=True, slots=True)
class Sample:
    """Something to train on or to ask. boxes: flat half-open boxes, one a line, on `image_ids[0]`'s canonical grid.

    evidence: ids of the findings, links, descriptions and regions that make the answer true.
    """

    sample_id: str
    study_id: str
    image_ids: tuple[str, ...]
    task: str
    turns: tuple[Turn, ...]
    answer_kind: str
    choices: tuple[str, ...]
    boxes: tuple[tuple[int, ...], ...]
    region_ids: tuple[str, ...]
    evidence: tuple[str, ...]
    split: str
    licence: str
    made_by: MadeBy


@dataclass(frozen=True, slots=True)
class Rejected:
    """What did not go in: the input's key, the step that refused it, the class of error, the reason and the mend."""

    key: str
    step: str
    error_class: str
    code: str
    reason: str
    mend: str


@dataclass(frozen=True, slots=True)
class Review:
    """A person's verdict on a row."""

    review_id: str
    row_id: str
    verdict: str
    note: str
    reader: str
    when: str


# table -> (row class, the columns that order it and make a row unique)
TABLES: dict[str, tuple[type, tuple[str, ...]]] = {
    "studies": (Study, ("study_id",)),
    "images": (Image, ("image_id", "study_id")),
    "reports": (Report, ("report_id", "study_id")),
    "sentences": (Sentence, ("sentence_id",)),
    "findings": (Finding, ("finding_id",)),
    "regions": (Region, ("region_id",)),
    "links": (Link, ("link_id",)),
    "descriptions": (Description, ("description_id",)),
    "samples": (Sample, ("sample_id",)),
    "rejected": (Rejected, ("key", "step")),
    "reviews": (Review, ("review_id",)),
}
