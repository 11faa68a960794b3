"""The one way in for pixels: any source becomes a canonical array, its grid, and what it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UsageError
from radfoundry.geometry import Grid, Orientation
from radfoundry.studies.dicom_header import Header
from radfoundry.studies.dicom_image import DicomImage, read_dicom_object, read_dicom_series
from radfoundry.studies.guess import name_says
from radfoundry.studies.limits import Limits
from radfoundry.studies.metaimage import read_metaimage
from radfoundry.studies.nifti import read_nifti
from radfoundry.studies.nrrd import read_nrrd
from radfoundry.studies.picture import PictureParts, dicom_picture, raster_picture
from radfoundry.studies.plain_array import read_npy
from radfoundry.studies.sources import ImageSource
from radfoundry.studies.values import HU_TOP, HuCounter, looks_like_ct, to_hu, to_plain

__all__ = ["ReadImage", "read_image"]


@dataclass(frozen=True)
class ReadImage:
    """An image as everything downstream sees it.

    pixels: canonical `[z, y, x]` or `[y, x]`, int16 or float32; CT in HU, not below -1024. grid: where they lie. source_grid and
    orientation: the stored grid, and the exact way back (`orientation.invert(pixels)`). modality: a DICOM code, "XR" for an X-ray
    whose kind is not known, "" where nothing says. unit: "HU", "SUV", "GY" or "". view: "volume", "slice", "frontal", "lateral",
    "" for another or unknown one. notes: `code: sentence`, one for each thing that was guessed, mended or should be known.
    """

    pixels: npt.NDArray
    grid: Grid
    source_grid: Grid
    orientation: Orientation
    modality: str
    unit: str = ""
    view: str = ""
    contrast: str = ""
    series_key: str = ""
    notes: tuple[str, ...] = ()


def read_image(source: ImageSource, limits: Limits | None = None) -> ReadImage:
    """Read one image. Raises UnreadableError, GeometryError, LimitError; each names the file and the reason."""
    bounds = limits or Limits()
    match source.kind:
        case "dicom-series":
            return _dicom(read_dicom_series(source, bounds), source)
        case "dicom-object":
            return _dicom(read_dicom_object(source, bounds), source)
        case "raster":
            return _picture(raster_picture(source, bounds), source)
        case "nifti" | "nrrd" | "metaimage" | "npy":
            return _plain(source, bounds)
        case _:
            raise UsageError(f"{source.label} is a mask, not an image", mend="read it with read_labels")


def _dicom(read: DicomImage, source: ImageSource) -> ReadImage:
    header = read.header
    if read.grid is None or read.source_grid is None or read.orientation is None:
        return _picture(dicom_picture(read.pixels, header, read.notes), source)
    modality = source.modality or header.modality or "OT"
    return ReadImage(
        read.pixels,
        read.grid,
        read.source_grid,
        read.orientation,
        modality,
        _dicom_unit(header, modality),
        "volume" if min(read.grid.shape) > 1 else "slice",
        header.contrast,
        header.series_uid,
        read.notes,
    )


def _dicom_unit(header: Header, modality: str) -> str:
    if modality == "CT":
        return "HU"
    if modality == "PT":
        return "SUV" if header.units == "GML" else ""
    return "GY" if modality == "RTDOSE" else ""


def _picture(parts: PictureParts, source: ImageSource) -> ReadImage:
    orientation = Orientation.of(parts.source_grid)
    return ReadImage(
        np.ascontiguousarray(orientation.apply(parts.pixels)),
        orientation.apply_grid(parts.source_grid),
        parts.source_grid,
        orientation,
        source.modality or parts.modality,
        "",
        source.view or parts.view,
        "",
        parts.series_key,
        parts.notes,
    )


def _plain(source: ImageSource, limits: Limits) -> ReadImage:
    """Formats without a modality: what the table says, else what the name says, else what the values look like."""
    stored, grid, notes = _samples(source, limits)
    if grid.ndim == 2:
        return _picture(PictureParts(to_plain(stored), grid, *name_says(source.path), "", notes), source)
    said, _ = name_says(source.path)
    looks = looks_like_ct(stored)
    modality = source.modality or said or ("CT" if looks else "")
    # what is called CT may be cut to soft tissue, but fat at least is below zero
    looks |= modality == "CT" and stored.min() < -50 and stored.max() <= HU_TOP
    notes += _modality_notes(source, said, modality, looks)
    orientation = Orientation.of(grid)
    counter = HuCounter()
    values = to_hu(stored, counter) if modality == "CT" and looks else to_plain(stored)
    return ReadImage(
        np.ascontiguousarray(orientation.apply(values)),
        orientation.apply_grid(grid),
        grid,
        orientation,
        modality,
        "HU" if modality == "CT" and looks else "",
        "volume" if min(grid.shape) > 1 else "slice",
        "",
        "",
        notes + counter.note(),
    )


def _modality_notes(source: ImageSource, said: str, modality: str, looks_ct: bool) -> tuple[str, ...]:
    if modality == "CT" and not looks_ct:
        return ("lost-hu: called CT, but the values do not spread as HU do; they were kept as they are",)
    if source.modality:
        return ()
    if said:
        return (f"guessed-modality: the file names no modality; {said} was taken from its name",)
    if modality:
        return ("guessed-modality: the file names no modality; CT was taken from its values",)
    return ("no-modality: the file names no modality; a table with a column `modality` can",)


def _samples(source: ImageSource, limits: Limits) -> tuple[npt.NDArray, Grid, tuple[str, ...]]:
    match source.kind:
        case "nifti":
            stored, header = read_nifti(source.path, source.member, limits)
            if (header.slope, header.intercept) not in ((1.0, 0.0), (0.0, 0.0)):
                stored = (stored * np.float32(header.slope) + np.float32(header.intercept)).astype(
                    np.float32, copy=False
                )
            return stored, header.grid, header.notes
        case "nrrd":
            return read_nrrd(source.path, limits)
        case "metaimage":
            return (*read_metaimage(source.path, limits), ())
        case _:
            return read_npy(source.path, limits)
