"""Pictures without a place in the patient: radiographs, screen copies, photographs, to one channel `[y, x]`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radfoundry.geometry import Grid
from radfoundry.studies.containers import read_file
from radfoundry.studies.decoding import decode
from radfoundry.studies.dicom_header import Header
from radfoundry.studies.guess import name_says
from radfoundry.studies.limits import Limits
from radfoundry.studies.sources import ImageSource
from radfoundry.studies.values import to_plain

__all__ = ["PictureParts", "dicom_picture", "raster_picture"]

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_VIEWS = {
    "PA": "frontal",
    "AP": "frontal",
    "LL": "lateral",
    "RL": "lateral",
    "LATERAL": "lateral",
    "LAT": "lateral",
    "LLD": "",
    "RLD": "",
}
_RADIOGRAPHS = ("CR", "DX", "XR", "RG")


@dataclass(frozen=True)
class PictureParts:
    """A stored picture: pixels `[y, x]`, its grid as stored, and what is known of it."""

    pixels: npt.NDArray
    source_grid: Grid
    modality: str
    view: str
    series_key: str
    notes: tuple[str, ...]


def dicom_picture(stored: npt.NDArray, header: Header, notes: tuple[str, ...]) -> PictureParts:
    """Return a DICOM frame with bright as dense, and a grid whose directions say how it was hung."""
    grey, colour = _grey(stored)
    if header.photometric == "MONOCHROME1":
        grey = _inverted(grey, header)
        notes += ("monochrome1: low values were bright; the samples were inverted",)
    if colour and header.samples != 3:
        notes += colour
    spacing = header.pixel_spacing if len(header.pixel_spacing) == 2 and min(header.pixel_spacing) > 0 else ()
    view = _view(header)
    grid, hung = _hung(grey.shape, spacing, header, view)
    return PictureParts(to_plain(grey), grid, header.modality, view, header.series_uid, notes + hung)


def _inverted(grey: npt.NDArray, header: Header) -> npt.NDArray:
    """Turn low-is-bright around within the range of the stored bits, or of the values where a rescale changed it."""
    if header.has_rescale or grey.dtype.kind == "f":
        return grey.max() + grey.min() - grey
    wide = grey.astype(np.int32)
    return -1 - wide if header.signed else (1 << (header.bits_stored or 8)) - 1 - wide


def _view(header: Header) -> str:
    if header.modality not in _RADIOGRAPHS:
        return ""
    return _VIEWS.get(header.view_position.upper(), "")


def _hung(
    shape: tuple[int, ...], spacing: tuple[float, ...], header: Header, view: str
) -> tuple[Grid, tuple[str, ...]]:
    """Return the stored grid: x grows to the patient's left and y to the feet in a canonical frontal picture."""
    plain = Grid.picture((shape[0], shape[1]), (spacing[0], spacing[1]) if spacing else None)
    said = header.patient_orientation
    if header.modality not in _RADIOGRAPHS or view == "lateral" or len(said) != 2:
        return plain, ()
    across = -1.0 if said[0][:1] == "R" else 1.0
    down = -1.0 if said[1][:1] == "H" else 1.0
    if (across, down) == (1.0, 1.0):
        return plain, ()
    note = "turned: PatientOrientation says that the stored picture is mirrored or upside down; it was turned"
    return Grid(plain.shape, plain.spacing, plain.origin, (across, 0.0, 0.0, down), plain.unit), (note,)


def raster_picture(source: ImageSource, limits: Limits) -> PictureParts:
    """Return a picture file in one channel; grey stored as colour is read exactly, alpha is dropped."""
    decoded = decode("raster", read_file(source.path, limits), source.path.name, limits, int(source.member or 0))
    grey, notes = _grey(decoded.pixels[0])
    if decoded.facts["turned"]:
        notes += ("turned: the camera's orientation tag was applied",)
    if decoded.facts["pages"] > 1 and not source.member:
        notes += (f"pages: {decoded.facts['pages']} pictures in one file; the first was read",)
    modality, view = name_says(source.path)
    if not modality and not source.modality:
        modality = "" if _colourful(decoded.pixels[0]) else "XR"
        taken = "it was taken as an X-ray" if modality else "and it is in colour"
        notes += (
            f"guessed-modality: a picture file names no modality, {taken}; a table with a column `modality` can say",
        )
    height, width = grey.shape
    return PictureParts(to_plain(grey), Grid.picture((height, width)), modality, view, "", notes)


def _grey(pixels: npt.NDArray) -> tuple[npt.NDArray, tuple[str, ...]]:
    if pixels.ndim == 2:
        return pixels, ()
    red, green, blue = (pixels[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red), ()
    return np.rint(pixels @ _LUMINANCE).astype(np.int32), ("colour: colour samples were turned into luminance",)


def _colourful(pixels: npt.NDArray) -> bool:
    """Say whether colours are more than the tint that a JPEG gives to grey."""
    if pixels.ndim == 2:
        return False
    sample = pixels[::7, ::7].astype(np.int32)
    return bool(np.mean(np.ptp(sample, axis=-1) > 24) > 0.02)
