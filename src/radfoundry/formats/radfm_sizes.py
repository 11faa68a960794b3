"""RadFM's sizes: to which depth and width its images are brought, per sample, per batch, per study (Wu et al. 2023, arXiv 2308.02463).

Shapes are the published ones: (channels, height, width[, depth]), a sample's images and a study's series stacked in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.formats.m3d.arrays import resize_linear

__all__ = [
    "batch_shape", "collated", "modality_shape", "modality_volume", "nearest", "stacked_shape", "study_range", "study_shape",
    "study_slices", "target_depth",
]  # fmt: skip

Shape = Sequence[int]

_WIDE, _NARROW = 512, 256
_DEPTHS = {False: 64, True: 32}  # the deepest, and that of a sample with many images
_MANY = 6
_MODALITY = (512, 512, 64)


def target_depth(depth: int, *, many: bool = False) -> int:
    """Return the multiple of four nearest to a depth, the smaller of two, between 4 and 64 (32 for a sample of many images)."""
    return min(range(4, _DEPTHS[many] + 1, 4), key=lambda d: (abs(d - depth), d))


def stacked_shape(images: Sequence[Shape]) -> tuple[int, ...]:
    """Return the shape of a sample's images: all go to one depth, pictures too; without any there is one black image."""
    depths = [shape[3] for shape in images if len(shape) > 3]
    channels = images[0][0] if images else 3
    return (max(len(images), 1), channels, _WIDE, _WIDE, target_depth(max([4, *depths])))


def batch_shape(samples: Sequence[Shape], *, test: bool = False) -> tuple[int, ...]:
    """Return the shape of a batch of stacked samples. A deep sample that is alone is narrow; test: a sample alone always is."""
    alone = len(samples) == 1
    count, channels = max(shape[0] for shape in samples), samples[0][1]
    depth = target_depth(max([4, *(shape[4] for shape in samples)]), many=alone and count > _MANY)
    width = _NARROW if alone and (test or depth > 4) else _WIDE
    return (len(samples), count, channels, width, width, depth)


def nearest(old: int, new: int) -> npt.NDArray[np.int64]:
    """Return the source index of each target index: floor(i * old / new)."""
    return np.asarray(np.arange(new) * old // new)


def collated(samples: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return a batch of samples `[s, c, h, w, d]`: resized by the nearest sample, black images behind those that have fewer."""
    shape = batch_shape([sample.shape for sample in samples])
    out = np.zeros(shape, dtype=samples[0].dtype)
    for row, sample in zip(out, samples, strict=True):
        resized = sample
        for axis in (2, 3, 4):
            resized = np.take(resized, nearest(sample.shape[axis], shape[axis + 1]), axis)
        row[: len(sample)] = resized
    return out


def study_shape(series: Sequence[Shape]) -> tuple[int, ...]:
    """Return the shape of a study: its series at the median of their depths."""
    return (len(series), *series[0][:3], int(median(shape[3] for shape in series)))


def study_slices(depths: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return, a row a series, the number of the source slice of each target slice, from 1; 0 is padding.

    The steps are those of a zoom without interpolation whose first and last slices stay; then it is cut to the median, rounded down.
    """
    wanted = median(depths)
    out = np.zeros((len(depths), int(wanted)), dtype=np.int64)
    for row, depth in zip(out, depths, strict=True):
        zoomed = round(wanted)
        place = np.arange(zoomed) * ((depth - 1) / max(zoomed - 1, 1))
        kept = (np.floor(place + 0.5).astype(np.int64) + 1)[: len(row)]
        row[: len(kept)] = kept
    return out


def study_range(study: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return a study from 0 to 1 over all its series; a constant one is 0 (the published one turns to NaN, then to noise)."""
    shifted = study.astype(np.float32) - np.float32(study.min())
    largest = float(shifted.max())
    return np.asarray(shifted / largest if largest else shifted, dtype=np.float32)


def modality_shape(_: Shape) -> tuple[int, ...]:
    """Return the shape of a volume that is asked for its modality: one for all."""
    return (3, *_MODALITY)


def modality_volume(volume: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return a volume as the published modality questions show it, faults included: slices become rows, and columns the depth.

    A (512, 512, n) volume with fewer than 512 slices has them moved in front; then it is stretched to 512 x 512 x 64.
    """
    first, _, last = volume.shape
    front = np.moveaxis(volume, -1, 0) if first == _WIDE and last < _WIDE else volume
    return np.broadcast_to(resize_linear(front.astype(np.float32), _MODALITY), (3, *_MODALITY))
