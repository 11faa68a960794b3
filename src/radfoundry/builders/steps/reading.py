"""Sources -> studies, images and reports; what cannot be read is written down and the rest goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from radfoundry.corpus import split_of
from radfoundry.errors import RowError
from radfoundry.geometry import Orientation
from radfoundry.ids import make_id, normalised_text
from radfoundry.language import parse_report
from radfoundry.protocols import Batch, Needs
from radfoundry.records import Image, Report, Section, Study
from radfoundry.studies import ReadImage, StudySource, read_image
from radfoundry.studies.identity import image_id_of

__all__ = ["ImageOrigin", "ReadStudies"]


class ImageOrigin(NamedTuple):
    """Which source an image came from and its place among the source's images, for the steps of the same wave."""

    image_id: str
    source: StudySource
    place: int


@dataclass(frozen=True)
class ReadStudies:
    """Read every image and report of a study; ids are salted so that no patient's name or number is in a table."""

    salt: str
    root: Path
    name: str = "read-studies"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("sources",)
    fills: tuple[str, ...] = ("studies", "images", "reports", "rejected")

    @property
    def settings(self) -> Mapping[str, Any]:
        """The salt is no setting: it is the user's secret and stays out of manifests."""
        return {}

    def run(self, batch: Batch) -> Batch:
        """Return studies, images with their pixels, and reports."""
        out = Batch()
        for source in batch.table("sources"):
            self._read(source, out)
        return out

    def _read(self, source: StudySource, out: Batch) -> None:
        study_id = make_id("study", self.salt, source.key)
        modalities = set()
        for place, image_source in enumerate(source.images):
            try:
                read = read_image(image_source)
            except RowError as error:
                out.reject(f"{source.key}:{image_source.path.name}", self.name, error)
                continue
            row = self._image_row(study_id, read, image_source.path)
            out.add("images", row)
            out.add("_origins", ImageOrigin(row.image_id, source, place))
            out.arrays[row.image_id] = read.pixels
            modalities.add(row.modality)
        has_report = self._read_report(source, study_id, out)
        if not modalities and not has_report:
            return
        out.add(
            "studies",
            Study(
                study_id=study_id,
                patient_id=make_id("patient", self.salt, source.patient_key),
                modalities=tuple(sorted(modalities)),
                body_part=source.body_part,
                age_group=_age_group(source.age),
                sex=source.sex,
                prior_study_id=make_id("study", self.salt, source.prior) if source.prior else None,
                split=source.split or split_of(self.salt, source.patient_key),
                licence=source.licence,
                source=source.source,
            ),
        )

    def _read_report(self, source: StudySource, study_id: str, out: Batch) -> bool:
        text = source.report or ""
        if not normalised_text(text):
            return False
        parsed = parse_report(text)
        sections = tuple(Section(name, start, end) for name, (start, end) in parsed.sections.items())
        out.add("reports", Report(make_id("report", normalised_text(text)), study_id, "en", text, sections))
        return True

    def _image_row(self, study_id: str, read: ReadImage, path: Path) -> Image:
        grid = read.grid
        return Image(
            image_id=image_id_of(read),
            study_id=study_id,
            modality=read.modality,
            dimensions=grid.ndim,
            shape=grid.shape,
            spacing=grid.spacing,
            origin=grid.origin,
            direction=grid.direction,
            grid_unit=grid.unit,
            unit=read.unit,
            view=read.view,
            contrast=read.contrast,
            path=_below(path, self.root),
            series_key=make_id("series", self.salt, read.series_key) if read.series_key else "",
            orientation=_spell(read.orientation),
            notes=tuple(read.notes),
        )


def _below(path: Path, root: Path) -> str:
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.name


def _spell(orientation: Orientation) -> str:
    return f"{','.join(map(str, orientation.axes))};{''.join('-' if f else '+' for f in orientation.flips)}"


def _age_group(age: str) -> str:
    """Return "child", "adult" or "senior" of a DICOM age ("040Y", "003M") or a plain number of years; "" where it says nothing."""
    digits, unit = age.strip().upper().rstrip("YMWD"), age.strip().upper()[-1:]
    if not digits.isdigit():
        return ""
    years = int(digits) if unit not in ("M", "W", "D") else 0
    return "child" if years < 18 else "adult" if years < 65 else "senior"
