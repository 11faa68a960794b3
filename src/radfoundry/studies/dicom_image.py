"""DICOM objects and series to canonical arrays: order and memory from the headers first, then the pixels slice by slice."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from radfoundry.errors import GeometryError, UnreadableError
from radfoundry.geometry import Grid, Orientation
from radfoundry.studies.containers import Container, file_stamp, open_container, open_file
from radfoundry.studies.decoding import decode
from radfoundry.studies.dicom import uid_name
from radfoundry.studies.dicom_header import Header
from radfoundry.studies.headers import header_in
from radfoundry.studies.limits import Limits
from radfoundry.studies.multiframe import Frame, frames_of, volumes_of
from radfoundry.studies.samples import raw_bytes
from radfoundry.studies.sources import ImageSource
from radfoundry.studies.stack import Place, Stack, stack
from radfoundry.studies.values import HuCounter, to_hu

__all__ = ["DicomImage", "instance_slices", "read_dicom_object", "read_dicom_series"]

_NO_STREAM = io.BytesIO()


@dataclass(frozen=True)
class DicomImage:
    """Canonical values and where they lie. pixels: `[z, y, x]`, or `[y, x]` (or `[y, x, 3]` in colour) without a place in the patient."""

    pixels: npt.NDArray
    grid: Grid | None
    source_grid: Grid | None
    orientation: Orientation | None
    header: Header
    notes: tuple[str, ...]


def read_dicom_series(source: ImageSource, limits: Limits) -> DicomImage:
    """Read single-frame slices as one volume. Raises GeometryError where they make none (see `stack`), UnreadableError."""
    with open_container(source.path, limits) as container:
        limits.check("files", len(source.files), source.label)
        headers = [_header(container, name) for name in source.files]
        first = headers[0]
        frames = [_single_frame(container, header) for header in headers]
        planned = stack([_placed(frame, first.name) for frame in frames], source.label)
        out, canonical = _allocate(first, frames, planned.grid, limits, source.label)
        counter = HuCounter()
        slots = Orientation.of(planned.grid).invert(canonical)
        for slot, index in enumerate(planned.order):
            stored = _stored(container, headers[index], limits)[0]
            slots[slot] = _values(_grey(stored), headers[index], frames[index], out, counter)
    return _volume(canonical, planned, first, _notes(headers) + counter.note() + planned.notes)


def read_dicom_object(source: ImageSource, limits: Limits) -> DicomImage:
    """Read one object: a picture, a slice, or the frames of a volume (`source.member` picks one of several)."""
    name = source.files[0] if source.files else source.path.name
    if not source.files:
        with open_file(source.path, limits) as stream:
            return _read_object(_OneFile(stream, source.path), name, source.member, limits)
    with open_container(source.path, limits) as container:
        return _read_object(container, name, source.member, limits)


class _OneFile:
    """A single open file as a container."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path = stream, path

    def names(self) -> list[str]:
        return [self._path.name]

    def size(self, name: str) -> int:
        return self._stream.seek(0, 2)

    def stamp(self, name: str) -> object:
        return file_stamp(self._path)

    def open(self, name: str) -> BinaryIO:
        self._stream.seek(0)
        return _Shared(self._stream)  # type: ignore[return-value]


class _Shared:
    """A stream that a `with` block does not close."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read, self.seek, self.tell = stream.read, stream.seek, stream.tell
        self.readinto = stream.readinto  # type: ignore[attr-defined]

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _header(container: Container, name: str) -> Header:
    header = header_in(container, name)
    if not header.has_pixels or header.rows < 1 or header.columns < 1:
        kind = uid_name(header.sop_class) or "no known kind of object"
        raise UnreadableError(f"{name} has no pixels", f"it is {kind}", "leave it out", code="no-pixels")
    return header


def _read_object(container: Container, name: str, member: str, limits: Limits) -> DicomImage:
    header = _header(container, name)
    limits.check("files", header.frames, name)
    with container.open(name) as stream:
        frames = frames_of(stream, header)
    volumes = volumes_of(frames, name)
    if not volumes:
        return _picture(container, header, member, limits)
    if len(volumes) > 1 and not member:
        raise GeometryError(
            f"{name} holds {len(volumes)} volumes",
            "times, echoes or diffusion weightings",
            "name one of them",
            code="four-dimensional",
        )
    chosen = volumes[int(member or 0)]
    # the frames of one object were written together: two of them are a volume
    planned = stack([_placed(frame, name) for frame in chosen], name, least=2)
    out, canonical = _allocate(header, chosen, planned.grid, limits, name)
    stored = _stored(container, header, limits)
    counter = HuCounter()
    slots = Orientation.of(planned.grid).invert(canonical)
    for slot, index in enumerate(planned.order):
        slots[slot] = _values(_grey(stored[chosen[index].index]), header, chosen[index], out, counter)
    return _volume(canonical, planned, header, _notes([header]) + counter.note() + planned.notes)


def _picture(container: Container, header: Header, member: str, limits: Limits) -> DicomImage:
    limits.check_array((header.rows, header.columns, header.samples), 4, header.name)
    index = int(member or 0)
    stored = _stored(container, header, limits, index)
    frame = stored[0] if len(stored) == 1 else stored[index]
    notes = _notes([header])
    if header.frames > 1:
        notes += (
            f"unplaced-frames: {header.frames} frames without a place in the patient; frame {index + 1} was read",
        )
    return DicomImage(_rescaled(frame, header.slope, header.intercept), None, None, None, header, notes)


def _single_frame(container: Container, header: Header) -> Frame:
    if header.frames > 1:
        raise GeometryError(f"{header.name} has {header.frames} frames", "it is no single slice", code="multi-frame")
    if not header.has_frame_groups:
        return frames_of(_NO_STREAM, header)[0]
    with container.open(header.name) as stream:
        return frames_of(stream, header)[0]


def _placed(frame: Frame, name: str) -> Place:
    if frame.place is None:
        raise GeometryError(
            f"{name} has no place in the patient",
            "ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing",
            "read its slices as pictures",
            code="no-place",
        )
    return frame.place


def _allocate(
    header: Header, frames: Sequence[Frame], grid: Grid, limits: Limits, what: str
) -> tuple[np.dtype, npt.NDArray]:
    """Return the type of the values and the canonical array to fill."""
    plain = all(frame.slope == 1 and frame.intercept == 0 for frame in frames)
    small = header.samples == 3 or header.bits_stored <= (16 if header.signed else 15)
    whole = header.modality == "CT" or (plain and small and header.bits_allocated in (1, 8, 16))
    dtype = np.dtype(np.int16 if whole else np.float32)
    limits.check_array(grid.shape, dtype.itemsize, what)
    return dtype, np.empty(Orientation.of(grid).apply_grid(grid).shape, dtype)


def _values(stored: npt.NDArray, header: Header, frame: Frame, dtype: np.dtype, counter: HuCounter) -> npt.NDArray:
    rescaled = _rescaled(stored, frame.slope, frame.intercept)
    return to_hu(rescaled, counter) if header.modality == "CT" else rescaled.astype(dtype, copy=False)


def _rescaled(stored: npt.NDArray, slope: float, intercept: float) -> npt.NDArray:
    """Apply a linear rescale without wrapping: whole numbers in 32 bits, the rest in single precision."""
    if slope == 1 and intercept == 0:
        return stored
    if slope == int(slope) and intercept == int(intercept) and stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
        wide = stored.astype(np.int32)
        if slope != 1:
            wide *= int(slope)
        wide += int(intercept)
        return wide
    return (stored * np.float64(slope) + intercept).astype(np.float32)


def _stored(container: Container, header: Header, limits: Limits, frame: int = -1) -> npt.NDArray:
    """Return the stored samples `[frame, y, x]` or `[frame, y, x, 3]`: as they lie in the file, or through the decoder."""
    limits.check_array(
        (header.frames, header.rows, header.columns, header.samples), max(1, header.bits_allocated // 8), header.name
    )
    with container.open(header.name) as stream:
        if header.native:
            return _native(stream, header)
        data = stream.read()
    pixels = decode("dicom", data, header.name, limits, frame).pixels
    if pixels.shape[1:3] != (header.rows, header.columns):
        raise UnreadableError(
            f"{header.name} decodes to another size",
            f"{pixels.shape[1:3]} instead of {(header.rows, header.columns)}",
            code="bad-pixels",
        )
    return pixels


def _native(stream: BinaryIO, header: Header) -> npt.NDArray:
    kind = "i" if header.signed else "u"
    order = ">" if header.transfer_syntax.endswith(".1.2.2") else "<"
    dtype = np.dtype(f"{order}{kind}{header.bits_allocated // 8}")
    shape = (header.frames, header.rows, header.columns)
    samples = np.empty(shape, dtype)
    stream.seek(header.offset)
    got = stream.readinto(raw_bytes(samples))  # type: ignore[attr-defined]
    if got < samples.nbytes or 0 < header.length < samples.nbytes:
        there = min(got, header.length)
        raise UnreadableError(
            f"{header.name} is cut short", f"{there:,} of {samples.nbytes:,} bytes of pixel data are there", "copy it again",
            code="truncated-pixels",
        )  # fmt: skip
    return samples if order == "<" else samples.astype(dtype.newbyteorder("<"))


def _grey(pixels: npt.NDArray) -> npt.NDArray:
    """Return one channel: the luminance of a colour slice."""
    if pixels.ndim == 2:
        return pixels
    return np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.int32)


def _volume(canonical: npt.NDArray, planned: Stack, header: Header, notes: tuple[str, ...]) -> DicomImage:
    orientation = Orientation.of(planned.grid)
    return DicomImage(canonical, orientation.apply_grid(planned.grid), planned.grid, orientation, header, notes)


def _notes(headers: Sequence[Header]) -> tuple[str, ...]:
    first = headers[0]
    notes = list(dict.fromkeys(note for header in headers for note in header.notes))
    if first.samples == 3:
        notes.append("colour: colour samples were turned into luminance")
    if first.modality == "CT" and not first.has_rescale:
        notes.append("no-rescale: no RescaleSlope; the stored values were taken as HU")
    if first.modality == "PT" and first.units not in ("", "GML"):
        notes.append(f"no-suv: PET values are in {first.units}, not SUV")
    return tuple(notes)


def instance_slices(source: ImageSource, limits: Limits | None = None) -> dict[str, int]:
    """Return SOPInstanceUID -> z on the canonical grid, for a series whose slices are axial. Raises what reading it raises."""
    bounds = limits or Limits()
    with open_container(source.path, bounds) as container:
        headers = [_header(container, name) for name in source.files]
        frames = [_single_frame(container, header) for header in headers]
    planned = stack([_placed(frame, source.label) for frame in frames], source.label)
    orientation = Orientation.of(planned.grid)
    if orientation.axes[0] != 0:
        raise GeometryError(
            f"{source.label} is not axial", "its slices do not follow each other along the body", code="not-axial"
        )
    last = len(headers) - 1
    return {headers[i].sop_uid: last - slot if orientation.flips[0] else slot for slot, i in enumerate(planned.order)}
