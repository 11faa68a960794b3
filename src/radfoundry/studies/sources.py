"""Where an image, a mask and a study lie on disk: plain values that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from radfoundry.records import Rejected

__all__ = ["Discovery", "ImageSource", "MaskSource", "SourceKind", "StudySource"]

SourceKind = Literal[
    "nifti",
    "nrrd",
    "metaimage",
    "npy",
    "raster",
    "dicom-series",
    "dicom-object",
    "dicom-seg",
    "dicom-rtstruct",
    "lidc-xml",
]


@dataclass(frozen=True)
class ImageSource:
    """One volume or picture.

    path: a file, or the folder or zip that holds `files`. files: names below `path` ("/" between folders, "!" between an archive
    and its member); empty where `path` itself is the file. member: which of several images in the file: the index of a frame, of a
    stack of frames or of a volume of a 4D file. modality, view: what a table says, "" where only the file can say.
    """

    path: Path
    kind: SourceKind
    files: tuple[str, ...] = ()
    member: str = ""
    modality: str = ""
    view: str = ""

    @property
    def label(self) -> str:
        """The name as a person reads it: below `path`, the one file or the folder of several, and the one of several images."""
        if not self.files:
            place = self.path.name
        else:
            inner = self.files[0] if len(self.files) == 1 else self.files[0].rpartition("/")[0]
            archive = self.path.suffix.lower() == ".zip"
            place = "!".join(part for part in (self.path.name, inner) if part) if archive else inner or self.path.name
        return f"{place}#{self.member}" if self.member else place


@dataclass(frozen=True)
class MaskSource:
    """A label map drawn on `images[image]` of a study; `labels` names its values."""

    image: int
    source: ImageSource
    labels: Path | None = None


@dataclass(frozen=True)
class StudySource:
    """An examination as it was found.

    key: unique in a discovery: the table's study, the StudyInstanceUID, or the path below the source folder. patient_key: as the
    source writes it; both are salted before they become ids and neither goes into a corpus. images: those with a mask come first.
    report: the text, or None where there is none; report_path: the file it came from. mask, labels: what is drawn on `images[0]`;
    more_masks: further ones. prior: the key of an earlier study.
    """

    key: str
    patient_key: str
    images: tuple[ImageSource, ...]
    report: str | None = None
    report_path: Path | None = None
    mask: ImageSource | None = None
    labels: Path | None = None
    prior: str | None = None
    split: str = ""
    licence: str = ""
    source: str = ""
    body_part: str = ""
    age: str = ""
    sex: str = ""
    more_masks: tuple[MaskSource, ...] = ()

    @property
    def masks(self) -> tuple[MaskSource, ...]:
        """Every mask of the study with the image it belongs to."""
        first = () if self.mask is None else (MaskSource(0, self.mask, self.labels),)
        return first + self.more_masks


@dataclass(frozen=True)
class Discovery:
    """What a folder holds: studies in the order of their keys, and what cannot be one (`step` is "discover")."""

    studies: tuple[StudySource, ...]
    problems: tuple[Rejected, ...]
