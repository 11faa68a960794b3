"""Boxes against boxes: intersection over union, its generalised form, and accuracy at a threshold.

Boxes are half-open corner pairs, `(z0, y0, x0, z1, y1, x1)` or `(y0, x0, y1, x1)`, in any unit that both share.
An empty sequence says "there is no such thing"; a right absence scores 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.metric import Mean

__all__ = ["BoxAccuracy", "BoxGIoU", "BoxIoU", "box_giou", "box_iou"]

BoxLike = Sequence[float] | npt.NDArray[np.generic]


def box_iou(first: npt.ArrayLike, second: npt.ArrayLike) -> FloatArray:
    """Intersection over union of boxes `[..., 4 or 6]`, half-open: `[...]`; 0 where both are empty.

    A box one voxel thick has that voxel's volume, because the last index is exclusive.
    """
    return _over_union(*_sizes(first, second)[:2])


def box_giou(first: npt.ArrayLike, second: npt.ArrayLike) -> FloatArray:
    """Generalised IoU in (-1, 1]: IoU minus the part of the enclosing box that neither fills (Rezatofighi 2019)."""
    shared, union, hull = _sizes(first, second)
    gap = np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0)
    return _over_union(shared, union) - gap


class BoxIoU(Mean[BoxLike, BoxLike]):
    """Mean IoU of predicted and true boxes; a box whose corners are in the wrong order is wrong and counted."""

    name = "box IoU"

    def score(self, prediction: BoxLike, reference: BoxLike) -> float | None:
        if len(prediction) == 0 or len(reference) == 0:
            both = len(prediction) == len(reference)
            self.counts["right_about_absence" if both else "wrong_about_absence"] += 1
            return 1.0 if both else self.worst
        if not is_box(prediction, len(reference)):
            self.counts["impossible_box"] += 1
            return self.worst
        return self.measure(prediction, reference)

    def measure(self, prediction: BoxLike, reference: BoxLike) -> float:
        """The score of two boxes that are there."""
        return float(box_iou(prediction, reference))


class BoxGIoU(BoxIoU):
    """Mean generalised IoU; the worst, for a missing or impossible box, is -1."""

    name = "box GIoU"
    worst = -1.0

    def measure(self, prediction: BoxLike, reference: BoxLike) -> float:
        return float(box_giou(prediction, reference))


class BoxAccuracy(BoxIoU):
    """The share of boxes whose IoU is at least `threshold`."""

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = threshold
        self.name = f"box Acc@{threshold:g}"

    def measure(self, prediction: BoxLike, reference: BoxLike) -> float:
        return float(box_iou(prediction, reference) >= self.threshold)


def is_box(box: BoxLike, length: int) -> bool:
    """Whether this is `length` finite numbers with every start at or before its stop."""
    corners = np.asarray(box, dtype=np.float64)
    half = length // 2
    return corners.shape == (length,) and bool(np.isfinite(corners).all() and (corners[:half] <= corners[half:]).all())


def _sizes(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    half = a.shape[-1] // 2
    starts, stops = (a[..., :half], b[..., :half]), (a[..., half:], b[..., half:])
    shared = _volume(np.minimum(*stops) - np.maximum(*starts))
    hull = _volume(np.maximum(*stops) - np.minimum(*starts))
    union = _volume(stops[0] - starts[0]) + _volume(stops[1] - starts[1]) - shared
    return shared, union, hull


def _volume(extent: FloatArray) -> FloatArray:
    return np.asarray(np.prod(np.clip(extent, 0, None), axis=-1))


def _over_union(shared: FloatArray, union: FloatArray) -> FloatArray:
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
