"""DICOM SEG as label maps: BINARY, FRACTIONAL and LABELMAP, overlapping or not, with or without their empty slices."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.errors import GeometryError, UnreadableError
from radfoundry.geometry import Grid, Orientation
from radfoundry.studies.containers import open_container, read_file
from radfoundry.studies.decoding import decode
from radfoundry.studies.dicom import guarded, read_dataset
from radfoundry.studies.dicom_header import Header, header_of
from radfoundry.studies.layers import Layer, Patch, pack
from radfoundry.studies.limits import Limits
from radfoundry.studies.multiframe import Frame, frames_of
from radfoundry.studies.sources import ImageSource
from radfoundry.studies.stack import Place, stack

__all__ = ["read_dicom_seg"]


@dataclass(frozen=True)
class _Segments:
    """What a SEG says of its frames: their type, each frame's segment (0 in a LABELMAP), the names, the full fraction."""

    kind: str
    of_frame: tuple[int, ...]
    names: dict[int, str]
    full: float
    background: int
    step: float | None


def read_dicom_seg(source: ImageSource, limits: Limits) -> list[Layer]:
    """Return label maps on the canonical grid that the frames span; slices left out because they are empty are filled in.

    Raises UnreadableError for damaged objects, GeometryError for tiled ones.
    """
    data = _bytes(source, limits)
    name = source.label
    header = header_of(io.BytesIO(data), name)
    limits.check("files", header.frames, name)
    limits.check_array((header.frames, header.rows, header.columns), 1, name)
    dataset, _, _ = read_dataset(io.BytesIO(data), name)
    segments = guarded(lambda: _segments(dataset, header), name)
    pixels = decode("dicom", data, name, limits).pixels
    notes: tuple[str, ...] = ()
    frames = frames_of(io.BytesIO(data), header)[: len(pixels)]
    if len(pixels) < header.frames or len(segments.of_frame) != len(pixels):
        # what has no pixels cannot be drawn; what has pixels without a description has no place
        frames = frames[: len(segments.of_frame)]
        notes += (f"few-frames: {len(segments.of_frame)} frames are described, {len(pixels)} are there",)
    if segments.kind == "FRACTIONAL":
        notes += (f"fractional: half of {segments.full:g} and more was taken as inside",)
    if any(frame.place is None for frame in frames):
        return _flat(frames, pixels, segments, header, notes)
    return _stacked(frames, pixels, segments, notes, name, limits)


def _bytes(source: ImageSource, limits: Limits) -> bytes:
    if not source.files:
        return read_file(source.path, limits)
    with open_container(source.path, limits) as container, container.open(source.files[0]) as stream:
        return stream.read()


def _segments(dataset: Any, header: Header) -> _Segments:
    names = {int(s.SegmentNumber): str(s.get("SegmentLabel") or s.SegmentNumber) for s in dataset.SegmentSequence}
    kind = str(dataset.get("SegmentationType") or "BINARY")
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise UnreadableError(f"{header.name} is a SEG of the unknown type {kind}", code="seg-type")
    of_frame = (0,) * header.frames if kind == "LABELMAP" else tuple(_segment_of_frames(dataset, header.frames))
    background = int(dataset.get("PixelPaddingValue") or 0)
    return _Segments(kind, of_frame, {n: v for n, v in names.items() if n not in (0, background) or kind != "LABELMAP"},
                     float(dataset.get("MaximumFractionalValue") or 255), background, _declared_step(dataset))  # fmt: skip


def _declared_step(dataset: Any) -> float | None:
    shared = dataset.get("SharedFunctionalGroupsSequence")
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    step = measures[0].get("SpacingBetweenSlices") if measures else None
    return abs(float(step)) if step else None


def _segment_of_frames(dataset: Any, count: int) -> Iterator[int]:
    shared = dataset.get("SharedFunctionalGroupsSequence")
    for group in list(dataset.PerFrameFunctionalGroupsSequence)[:count]:
        for holder in (group, shared[0] if shared else None):
            found = holder.get("SegmentIdentificationSequence") if holder is not None else None
            if found:
                yield int(found[0].ReferencedSegmentNumber)
                break


def _masks(index: int, pixels: npt.NDArray, segments: _Segments) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """Yield (segment, mask) for one frame."""
    frame = pixels[index]
    if segments.kind == "LABELMAP":
        for value in np.unique(frame):
            if value != segments.background and int(value) in segments.names:
                yield int(value), frame == value
    elif segments.kind == "FRACTIONAL":
        yield segments.of_frame[index], frame >= 0.5 * segments.full
    else:
        yield segments.of_frame[index], frame > 0


def _flat(
    frames: list[Frame], pixels: npt.NDArray, segments: _Segments, header: Header, notes: tuple[str, ...]
) -> list[Layer]:
    """A SEG of a picture: every segment has one frame and no place."""
    per_segment = max((segments.of_frame.count(s) for s in set(segments.of_frame)), default=0)
    if per_segment != 1:
        raise GeometryError(
            f"{header.name} is tiled",
            "its frames are tiles of a larger picture, as in slide microscopy",
            "join the tiles",
            code="tiled",
        )
    spacing = header.pixel_spacing
    grid = Grid.picture((header.rows, header.columns), (spacing[0], spacing[1]) if len(spacing) == 2 else None)
    patches = [Patch(s, 0, m) for f in frames for s, m in _masks(f.index, pixels, segments)]
    deep = Grid.axial((1, *grid.shape), (1.0, *grid.spacing))  # type: ignore[arg-type]
    return [replace(layer, array=layer.array[0], grid=grid) for layer in pack(patches, deep, segments.names, notes)]


def _stacked(
    frames: list[Frame], pixels: npt.NDArray, segments: _Segments, notes: tuple[str, ...], name: str, limits: Limits
) -> list[Layer]:
    places = [frame.place for frame in frames if frame.place is not None]
    grid = _own_grid(places, segments.step, name)
    limits.check_array(grid.shape, 2, name)
    patches = []
    for frame, place in zip(frames, places, strict=True):
        slot = float(grid.to_index(place.position)[0])
        if abs(slot - round(slot)) > 0.25:
            raise GeometryError(
                f"{name} has uneven slices", f"frame {frame.index + 1} is at slice {slot:.2f}", code="uneven-slices"
            )
        patches += [Patch(s, round(slot), mask) for s, mask in _masks(frame.index, pixels, segments)]
    orientation = Orientation.of(grid)
    canonical = orientation.apply_grid(grid)
    return [
        replace(layer, array=np.ascontiguousarray(orientation.apply(layer.array)), grid=canonical)
        for layer in pack(patches, grid, segments.names, notes)
    ]


def _own_grid(places: list[Place], declared: float | None, name: str) -> Grid:
    """The grid that the frames span: steps as declared, else the smallest one."""
    unique = list({tuple(round(v, 3) for v in place.position): place for place in places}.values())
    if len(unique) == 1:
        return stack(unique, name).grid
    heights = np.sort([np.dot(place.position, place.normal) for place in unique])
    smallest = float(np.diff(heights).min())
    step = declared if declared and declared <= 1.01 * smallest else smallest
    count = round(float(heights[-1] - heights[0]) / step) + 1
    first = min(unique, key=lambda place: float(np.dot(place.position, place.normal)))
    filled = [
        replace(first, position=tuple(p + i * step * n for p, n in zip(first.position, first.normal, strict=True)))
        for i in (0, 1)
    ]
    grid = stack(filled, name, least=2).grid
    return grid.with_shape((count, *grid.shape[1:]))
