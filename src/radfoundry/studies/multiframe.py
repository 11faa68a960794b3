"""Many frames in one DICOM object: where each lies, and which of them make a volume together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, BinaryIO

from radfoundry.errors import GeometryError
from radfoundry.studies.dicom import guarded, read_dataset
from radfoundry.studies.dicom_header import Header
from radfoundry.studies.stack import Place

__all__ = ["Frame", "frames_of", "volumes_of"]


@dataclass(frozen=True)
class Frame:
    """One frame: its index in the object, its place if it has one, its rescale, and what orders frames at one place."""

    index: int
    place: Place | None
    slope: float
    intercept: float
    rank: tuple[float, ...]


def frames_of(stream: BinaryIO, header: Header) -> list[Frame]:
    """Return the frames of an object: from functional groups, from a dose grid's offsets, or without places."""
    if header.frame_offsets:
        dataset, _, _ = read_dataset(stream, header.name)
        return guarded(lambda: _dose_frames(dataset, header), header.name)
    if header.has_frame_groups:
        dataset, _, _ = read_dataset(stream, header.name)
        return guarded(lambda: _grouped_frames(dataset, header), header.name)
    place = _header_place(header) if header.frames == 1 else None
    return [Frame(i, place, header.slope, header.intercept, (i,)) for i in range(header.frames)]


def _header_place(header: Header) -> Place | None:
    if not header.placed or min(header.pixel_spacing) <= 0:
        return None
    return Place(
        (header.rows, header.columns), header.position, header.orientation, header.pixel_spacing, header.thickness
    )


def _dose_frames(dataset: Any, header: Header) -> list[Frame]:
    """Frames of an RT dose lie at offsets along the normal of the first one (or at absolute heights, for axial grids)."""
    base = _header_place(header)
    if base is None:
        return [Frame(i, None, header.slope, 0.0, (i,)) for i in range(header.frames)]
    offsets = [float(v) for v in dataset.GridFrameOffsetVector]
    start = offsets[0]
    scale = float(dataset.get("DoseGridScaling") or 1.0)
    frames = []
    for index, offset in enumerate(offsets[: header.frames]):
        position = tuple(float(p + (offset - start) * n) for p, n in zip(base.position, base.normal, strict=True))
        frames.append(Frame(index, Place(base.shape, position, base.orientation, base.spacing), scale, 0.0, (index,)))
    return frames


def _grouped_frames(dataset: Any, header: Header) -> list[Frame]:
    shared = _item(dataset, "SharedFunctionalGroupsSequence")
    groups = list(dataset.PerFrameFunctionalGroupsSequence)[: header.frames]
    frames = [_grouped_frame(index, group, shared, dataset, header) for index, group in enumerate(groups)]
    # some writers describe fewer frames than there are
    return frames + [Frame(i, None, header.slope, header.intercept, (i,)) for i in range(len(frames), header.frames)]


def _grouped_frame(index: int, group: Any, shared: Any, dataset: Any, header: Header) -> Frame:
    def find(sequence: str, key: str) -> Any:
        for holder in (group, shared):
            item = _item(holder, sequence)
            if item is not None and item.get(key) not in (None, ""):
                return item.get(key)
        return dataset.get(key)

    position = find("PlanePositionSequence", "ImagePositionPatient")
    orientation = find("PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = find("PixelMeasuresSequence", "PixelSpacing")
    thickness = find("PixelMeasuresSequence", "SliceThickness")
    place = None
    if position is not None and orientation is not None and spacing is not None:
        place = Place(
            (header.rows, header.columns), _floats(position), _floats(orientation), _floats(spacing),
            float(thickness) if thickness else None,
        )  # fmt: skip
    slope = find("PixelValueTransformationSequence", "RescaleSlope")
    intercept = find("PixelValueTransformationSequence", "RescaleIntercept")
    rank = (
        float(find("MRDiffusionSequence", "DiffusionBValue") or 0.0),
        float(find("MREchoSequence", "EffectiveEchoTime") or 0.0),
        float(find("FrameContentSequence", "TemporalPositionIndex") or 0.0),
        float(index),
    )
    return Frame(
        index, place, 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept), rank
    )


def _item(holder: Any, sequence: str) -> Any:
    items = holder.get(sequence) if holder is not None else None
    return items[0] if items else None


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def volumes_of(frames: list[Frame], what: str) -> list[list[Frame]]:
    """Return the frames of each volume: where a place is taken k times there are k volumes, in the order of `Frame.rank`.

    Empty where frames have no places. Raises GeometryError (uneven-volumes) where some places are taken more often than others.
    """
    at: dict[tuple[float, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.place is None:
            return []
        at[tuple(round(v, 3) + 0.0 for v in frame.place.position + frame.place.orientation)].append(frame)
    counts = {len(group) for group in at.values()}
    if len(counts) != 1:
        raise GeometryError(
            f"{what} does not have every slice of every volume",
            f"places hold from {min(counts)} to {max(counts)} frames",
            "split it by echo, time or diffusion weighting",
            code="uneven-volumes",
        )
    ordered = [sorted(group, key=lambda frame: frame.rank) for group in at.values()]
    if len(at) == 1 and len(frames) > 1:
        return []
    return [list(volume) for volume in zip(*ordered, strict=True)]
