"""M3D's arrays: how its scripts prepare volumes and masks, and how ours become such files.

Stored volumes are float32 `[1, 32, 256, 256]` between 0 and 1, masks bool or labels of the same shape; a class without voxels is a
zero array of shape `[1, 1, 1, 1]`. The last three axes are (z, y, x), in M3D-RefSeg alone (z, x, y).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "SHAPE", "Cut", "caption_volume", "cut_of", "is_empty_class", "prepare_caption", "prepare_referring", "prepare_segmentation",
    "resize_labels", "resize_linear", "unit_range",
]  # fmt: skip

Size3 = tuple[int, int, int]
FloatArray = npt.NDArray[np.float32]

SHAPE: Size3 = (32, 256, 256)
_EMPTY = (1, 1, 1, 1)
_CT_HU = (-1000.0, 1000.0)
_TAILS = (0.5, 99.5)  # percentiles that M3D-RefSeg maps to 0 and 1

Cut = tuple[slice, ...]


class Prepared(NamedTuple):
    """An image and its masks, as stored."""

    image: FloatArray
    masks: tuple[npt.NDArray[Any], ...]


def prepare_caption(slices: Mapping[str, npt.NDArray[np.uint8]], shape: Size3 = SHAPE) -> FloatArray:
    """Return the stored volume of a case's gray 8-bit pictures, given by file name.

    Sorted by the number in the name; pictures of a minority shape are left out; 0 to 255 becomes 0 to 1; then as `caption_volume`.
    """
    common, _ = Counter(picture.shape for picture in slices.values()).most_common(1)[0]
    names = sorted((n for n in slices if slices[n].shape == common), key=lambda n: int(PurePath(n).stem))
    return caption_volume(np.stack([slices[n].astype(np.float32) / 255 for n in names]), shape)


def caption_volume(volume: npt.NDArray[Any], shape: Size3 = SHAPE) -> FloatArray:
    """Return a volume `[z, y, x]` from its least value to its largest as 0 to 1, cut to what is above 0, resized."""
    scaled = unit_range(volume)
    return resize_linear(scaled[cut_of(scaled)], shape)[None]


def prepare_segmentation(image: npt.NDArray[Any], masks: npt.NDArray[Any], shape: Size3 = SHAPE) -> Prepared:
    """Return what M3D-Seg stores of an image `[1, x, y, z]` and its classes `[c, x, y, z]`: axes (z, y, x), one mask a class."""
    volume = unit_range(np.swapaxes(image, -1, -3)[0])
    cut = cut_of(volume)
    classes = [resize_labels(channel[cut], shape)[None] > 0 for channel in np.swapaxes(masks, -1, -3)]
    kept = tuple(channel if channel.any() else np.zeros(_EMPTY, np.int8) for channel in classes)
    return Prepared(resize_linear(volume[cut], shape)[None], kept)


def prepare_referring(image: npt.NDArray[Any], mask: npt.NDArray[Any], shape: Size3 = SHAPE) -> Prepared:
    """Return what M3D-RefSeg stores of an image and a mask of many values, both `[x, y, z]`: axes (z, x, y), tails clipped."""
    volume, labels = np.moveaxis(image, -1, 0).astype(np.float32), np.moveaxis(mask, -1, 0)
    low, high = (float(v) for v in np.percentile(volume, _TAILS))
    scaled = np.clip((volume - low) / max(high - low, 1e-8), 0, 1).astype(np.float32)
    cut = cut_of(scaled)
    return Prepared(resize_linear(scaled[cut], shape)[None], (resize_labels(labels[cut], shape)[None],))


def windowed(pixels: npt.NDArray[Any], modality: str) -> FloatArray:
    """Return intensities as M3D's models were shown them: CT between -1000 and 1000 HU, others as they are."""
    volume = pixels.astype(np.float32)
    return np.clip(volume, *_CT_HU) if modality == "CT" else volume


def unit_range(volume: npt.NDArray[Any]) -> FloatArray:
    """Return a volume minus its least value, over the largest value that is left (at least 1e-8)."""
    shifted = volume.astype(np.float32) - np.float32(volume.min())
    return np.asarray(shifted / max(shifted.max(), np.float32(1e-8)), dtype=np.float32)


def cut_of(volume: FloatArray) -> Cut:
    """Return the box of what is above 0, all of the volume where nothing is."""
    axes = range(volume.ndim)
    hits = [np.flatnonzero((volume > 0).any(axis=tuple(a for a in axes if a != axis))) for axis in axes]
    if not hits[0].size:
        return tuple(slice(0, n) for n in volume.shape)
    return tuple(slice(int(hit[0]), int(hit[-1]) + 1) for hit in hits)


def is_empty_class(mask: npt.NDArray[Any]) -> bool:
    """Whether a stored mask is that of a class that the case does not have."""
    return mask.shape == _EMPTY or not mask.any()


def resize_linear(volume: FloatArray, shape: Sequence[int]) -> FloatArray:
    """Resample linearly with samples in the middle of their cells and no averaging (PyTorch's trilinear, corners not aligned)."""
    out = volume
    for axis in sorted(
        range(volume.ndim), key=lambda a: shape[a] / volume.shape[a]
    ):  # what shrinks first leaves less to do
        old, new = volume.shape[axis], shape[axis]
        place = np.maximum((np.arange(new) + 0.5) * (old / new) - 0.5, 0)
        below = np.minimum(place.astype(np.int64), old - 1)
        share = (place - below).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(volume.ndim)])
        above = np.minimum(below + 1, old - 1)
        out = np.take(out, below, axis) * (1 - share) + np.take(out, above, axis) * share
    return np.ascontiguousarray(out, dtype=np.float32)


def resize_labels(labels: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Resample by the sample at floor(i * old / new): no value arises that was not there."""
    out = labels
    for axis, (old, new) in enumerate(zip(labels.shape, shape, strict=True)):
        out = np.take(out, np.arange(new) * old // new, axis)
    return out
