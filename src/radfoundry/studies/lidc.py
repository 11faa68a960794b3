"""LIDC-IDRI annotation XML: what each reader outlined, nodules matched between readers by place, and consensus masks.

The contours run along the first pixels outside a nodule, so whether the contour's own pixels belong to it is a choice that changes
volumes by up to a fifth; it is named here ("in" or "out") and has no default.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UnreadableError
from radfoundry.geometry import Box, Grid
from radfoundry.studies.containers import read_file
from radfoundry.studies.contours import fill_polygon, pixels_on
from radfoundry.studies.limits import Limits
from radfoundry.studies.xml_tree import local_name, parse_xml

__all__ = [
    "ContourRule",
    "Nodule",
    "Outline",
    "ReaderMask",
    "consensus",
    "match_readers",
    "read_lidc",
    "reader_masks",
]

ContourRule = Literal["in", "out"]
# shared voxels, as a share of the smaller of two masks
_SAME_NODULE = 0.25


@dataclass(frozen=True)
class Outline:
    """One closed contour on one slice: points (x, y) in pixels of the stored picture; `inclusion` False cuts a hole."""

    sop_uid: str
    z_mm: float
    points_xy: tuple[tuple[int, int], ...]
    inclusion: bool


@dataclass(frozen=True)
class Nodule:
    """A nodule as one reader outlined it. reader: index of the session; ratings: characteristic -> 1 to 5 or 6."""

    reader: int
    nodule_id: str
    outlines: tuple[Outline, ...]
    ratings: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_point(self) -> bool:
        """Whether it is a mark of a nodule under 3 mm: a place without a volume."""
        return all(len(outline.points_xy) == 1 for outline in self.outlines)


@dataclass(frozen=True)
class ReaderMask:
    """A nodule of one reader as voxels: `mask` fills `box` on the canonical grid; `missing`: outlines on slices that are not there."""

    nodule: Nodule
    box: Box
    mask: npt.NDArray[np.bool_]
    missing: int

    def volume_ml(self, grid: Grid) -> float:
        """Return the volume of the mask in millilitres."""
        return float(np.count_nonzero(self.mask)) * grid.voxel_mm3 / 1000


def read_lidc(path: Path, limits: Limits | None = None) -> list[Nodule]:
    """Return all nodules of all readers in the order of the file (.xml or .xml.gz); marks of non-nodules are left out.

    Raises UnreadableError where the file is no LIDC annotation.
    """
    bounds = limits or Limits()
    root = parse_xml(_unpacked(path, bounds), path.name, bounds)
    sessions = [element for element in root.iter() if local_name(element) == "readingSession"]
    if not sessions:
        raise UnreadableError(f"{path.name} is no LIDC annotation", "it has no readingSession", code="not-lidc")
    try:
        return [
            _nodule(reader, element)
            for reader, session in enumerate(sessions)
            for element in session.iter()
            if local_name(element) == "unblindedReadNodule"
        ]
    except (ValueError, TypeError) as error:
        raise UnreadableError(f"{path.name} is damaged", str(error), "fetch it again", code="not-lidc") from error


def _unpacked(path: Path, limits: Limits) -> bytes:
    data = read_file(path, limits)
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.open(path) as stream:
            data = stream.read(limits.xml_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(
            f"{path.name} cannot be unpacked", str(error), "copy it again", code="bad-gzip"
        ) from error
    limits.check("xml_bytes", len(data), path.name)
    return data


def _nodule(reader: int, element: Element) -> Nodule:
    outlines = [_outline(child) for child in element if local_name(child) == "roi"]
    ratings = {
        local_name(value): int(value.text or "")
        for child in element
        if local_name(child) == "characteristics"
        for value in child
        if (value.text or "").strip().isdigit()
    }
    return Nodule(reader, _text(element, "noduleID"), tuple(outlines), ratings)


def _outline(roi: Element) -> Outline:
    points = tuple((int(_text(e, "xCoord")), int(_text(e, "yCoord"))) for e in roi if local_name(e) == "edgeMap")
    return Outline(
        _text(roi, "imageSOP_UID"),
        float(_text(roi, "imageZposition")),
        points,
        _text(roi, "inclusion").upper() != "FALSE",
    )


def _text(element: Element, name: str) -> str:
    return next(((child.text or "").strip() for child in element if local_name(child) == name), "")


def reader_masks(
    nodules: Sequence[Nodule], grid: Grid, slices: Mapping[str, int], rule: ContourRule
) -> list[ReaderMask]:
    """Draw the outlined nodules on an axial canonical `grid`; `slices` maps SOPInstanceUID -> z (see `instance_slices`).

    Marks of one point, and nodules none of whose slices is there, have no mask.
    """
    drawn = (_draw(nodule, grid, slices, rule) for nodule in nodules if not nodule.is_point)
    return [mask for mask in drawn if mask is not None]


def _draw(nodule: Nodule, grid: Grid, slices: Mapping[str, int], rule: ContourRule) -> ReaderMask | None:
    here = [outline for outline in nodule.outlines if outline.sop_uid in slices]
    if not here:
        return None
    points = np.array([p for outline in here for p in outline.points_xy])[:, ::-1]
    levels = [slices[outline.sop_uid] for outline in here]
    low, high = np.maximum(points.min(axis=0), 0), np.minimum(points.max(axis=0) + 1, grid.shape[1:])
    box = Box((min(levels), int(low[0]), int(low[1])), (max(levels) + 1, int(high[0]), int(high[1])))
    mask = np.zeros(box.size, dtype=np.bool_)
    # holes are cut last
    for outline in sorted(here, key=lambda o: not o.inclusion):
        area = _area(outline, low, box.size[1:], rule)
        level = mask[slices[outline.sop_uid] - box.start[0]]
        level[area] = outline.inclusion
    return ReaderMask(nodule, box, mask, len(nodule.outlines) - len(here))


def _area(outline: Outline, corner: npt.NDArray, shape: tuple[int, ...], rule: ContourRule) -> npt.NDArray[np.bool_]:
    """The pixels of one outline; of a hole's contour the pixels belong to the nodule under "in" as well."""
    points = np.array(outline.points_xy)[:, ::-1] - corner
    plane = (shape[0], shape[1])
    inside = fill_polygon(points.astype(float), plane)
    edge = pixels_on(points, plane)
    return inside | edge if (rule == "in") == outline.inclusion else inside & ~edge


def match_readers(masks: Sequence[ReaderMask]) -> list[list[ReaderMask]]:
    """Group the masks that show one nodule: largest groups first, then by place.

    A reader's mask joins the group that it shares most voxels with, if that is at least a quarter of the smaller one and the reader
    is not in the group yet; ids mean nothing between readers.
    """
    groups: list[list[ReaderMask]] = []
    for mask in sorted(masks, key=lambda m: (m.nodule.reader, m.box.flat)):
        shares = [max(_shared(mask, other) for other in group) if _free(group, mask) else 0.0 for group in groups]
        if max(shares, default=0.0) >= _SAME_NODULE:
            groups[int(np.argmax(shares))].append(mask)
        else:
            groups.append([mask])
    return sorted(groups, key=lambda group: (-len(group), group[0].box.flat))


def _free(group: list[ReaderMask], mask: ReaderMask) -> bool:
    return all(other.nodule.reader != mask.nodule.reader for other in group)


def _shared(a: ReaderMask, b: ReaderMask) -> float:
    """Shared voxels as a share of the smaller mask."""
    both = a.box.intersection(b.box)
    if both is None:
        return 0.0
    smaller = min(int(a.mask.sum()), int(b.mask.sum()))
    return float(np.sum(_part(a, both) & _part(b, both))) / max(1, smaller)


def _part(mask: ReaderMask, box: Box) -> npt.NDArray[np.bool_]:
    return mask.mask[tuple(slice(a - o, b - o) for a, b, o in zip(box.start, box.stop, mask.box.start, strict=True))]


def consensus(group: Sequence[ReaderMask], least: int) -> tuple[Box, npt.NDArray[np.bool_]]:
    """Return the voxels that at least `least` readers marked, in the box around all of their masks."""
    start = tuple(min(m.box.start[i] for m in group) for i in range(3))
    stop = tuple(max(m.box.stop[i] for m in group) for i in range(3))
    votes = np.zeros([b - a for a, b in zip(start, stop, strict=True)], dtype=np.uint8)
    for mask in group:
        votes[tuple(slice(a - o, b - o) for a, b, o in zip(mask.box.start, mask.box.stop, start, strict=True))] += (
            mask.mask
        )
    return Box(start, stop), votes >= least
