"""Masks in millimetres: pieces, distances, growing, closing; the door to cc3d and edt."""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = [
    "Labels",
    "Mask",
    "close",
    "distance_mm",
    "fill_slices",
    "grow",
    "largest_piece",
    "pieces",
    "pieces_by_value",
    "pieces_in_slices",
    "shrink",
    "sizes",
]

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint32]

# connected within an axial slice, not across slices
_IN_SLICE = np.zeros((3, 3, 3), dtype=bool)
_IN_SLICE[1] = ndimage.generate_binary_structure(2, 1)


def pieces(mask: Mask) -> Labels:
    """Return the face-connected pieces of a 2D or 3D mask, numbered from 1."""
    labels: Labels = cc3d.connected_components(mask, connectivity=4 if mask.ndim == 2 else 6).astype(np.uint32)
    return labels


def largest_piece(mask: Mask) -> Mask:
    """Return the largest face-connected piece of a mask that is not empty."""
    labels = pieces(mask)
    return labels == int(np.argmax(sizes(labels)))


def pieces_by_value(values: npt.NDArray[np.integer]) -> Labels:
    """Return the face-connected pieces of each value of a 3D label map, numbered from 1; 0 stays 0."""
    labels: Labels = cc3d.connected_components(values.astype(np.uint16), connectivity=6).astype(np.uint32)
    return labels


def pieces_in_slices(mask: Mask) -> Labels:
    """Return the pieces of each axial slice on its own, numbered through the volume from 1."""
    labels, _ = ndimage.label(mask, structure=_IN_SLICE)
    return labels.astype(np.uint32)


def sizes(labels: Labels) -> npt.NDArray[np.int64]:
    """Return the number of samples of each label, the background's as 0."""
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    return counts


def distance_mm(mask: Mask, spacing: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """Return for each sample of the mask how far the nearest sample outside is; the array's edge is not outside."""
    distance: npt.NDArray[np.float32] = edt.edt(mask, anisotropy=spacing, black_border=False)
    # a mask without an outside is infinitely deep
    return np.minimum(distance, np.float32(1e6))


def grow(mask: Mask, spacing: tuple[float, ...], mm: float) -> Mask:
    """Return every sample within `mm` of the mask."""
    if not mask.any():
        return mask
    return mask | (distance_mm(~mask, spacing) <= mm)


def shrink(mask: Mask, spacing: tuple[float, ...], mm: float) -> Mask:
    """Return the samples that are farther than `mm` from everything outside."""
    return mask & (distance_mm(mask, spacing) > mm)


def close(mask: Mask, spacing: tuple[float, ...], mm: float) -> Mask:
    """Return the mask with dents and gaps filled that a ball of radius `mm` cannot enter; the array's edge is no wall."""
    if not mask.any():
        return mask
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    margin = [int(mm / s) + 2 for s in spacing]
    where = tuple(slice(max(b.start - m, 0), b.stop + m) for b, m in zip(box, margin, strict=True))
    closed = mask.copy()
    grown = grow(mask[where], spacing, mm)
    closed[where] |= distance_mm(grown, spacing) > mm
    return closed


def fill_slices(mask: Mask) -> Mask:
    """Return the mask with the holes of each axial slice filled."""
    holes = pieces_in_slices(~mask)
    open_ = np.zeros(int(holes.max()) + 1, dtype=bool)
    for edge in (holes[:, 0], holes[:, -1], holes[:, :, 0], holes[:, :, -1]):
        open_[edge.ravel()] = True
    return mask | ~open_[holes]


def union(masks: Sequence[Mask]) -> Mask:
    """Return what any of the masks holds."""
    whole = masks[0].copy()
    for mask in masks[1:]:
        whole |= mask
    return whole
