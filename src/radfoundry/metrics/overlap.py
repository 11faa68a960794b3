"""Masks against masks, voxel by voxel: Dice and intersection over union, after a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.errors import MismatchError
from radfoundry.metrics.metric import Mean

__all__ = ["Dice", "MaskIoU", "Overlap", "as_mask", "overlap", "overlap_by_label"]

MaskLike = npt.NDArray[Any]


class Overlap(NamedTuple):
    """Voxel counts of two masks, from which every overlap score follows."""

    predicted: int
    true: int
    shared: int

    @property
    def dice(self) -> float:
        """Twice the shared part over the sum of both; 1 if both are empty (a right refusal), 0 if one is."""
        both = self.predicted + self.true
        return 2 * self.shared / both if both else 1.0

    @property
    def iou(self) -> float:
        """Shared over united; 1 if both are empty, 0 if one is."""
        union = self.predicted + self.true - self.shared
        return self.shared / union if union else 1.0


def as_mask(array: MaskLike, threshold: float = 0.5) -> npt.NDArray[np.bool_]:
    """A boolean mask: floats are probabilities and are cut above `threshold`, integers count where not 0."""
    if array.dtype == np.bool_:
        return array
    return np.asarray(array > threshold if np.issubdtype(array.dtype, np.floating) else array != 0)


def overlap(prediction: MaskLike, reference: MaskLike, threshold: float = 0.5) -> Overlap:
    """Count voxels of two masks of the same shape.

    Raises:
        MismatchError: the shapes differ; a mask is never broadcast over another.
    """
    check_same_shape(prediction, reference)
    predicted, true = as_mask(prediction, threshold), as_mask(reference, threshold)
    return Overlap(*(int(np.count_nonzero(mask)) for mask in (predicted, true, predicted & true)))


def overlap_by_label(prediction: MaskLike, reference: MaskLike, labels: Sequence[int]) -> dict[int, Overlap]:
    """Overlap of each label of two integer label maps of the same shape, in one pass over the voxels."""
    check_same_shape(prediction, reference)
    size = max(int(prediction.max(initial=0)), int(reference.max(initial=0)), *labels) + 1
    predicted = np.bincount(prediction.ravel(), minlength=size)
    true = np.bincount(reference.ravel(), minlength=size)
    shared = np.bincount(reference[prediction == reference].ravel(), minlength=size)
    return {label: Overlap(int(predicted[label]), int(true[label]), int(shared[label])) for label in labels}


class Dice(Mean[MaskLike, MaskLike]):
    """Mean Dice of masks above `threshold`; both empty is 1 and counted, a missing mask is 0."""

    name = "Dice"

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = threshold

    def score(self, prediction: MaskLike, reference: MaskLike) -> float:
        return self.score_of(overlap(prediction, reference, self.threshold))

    def score_of(self, counted: Overlap) -> float:
        """The score of counts made before."""
        if counted.predicted == counted.true == 0:
            self.counts["both_empty"] += 1
        return self.measure(counted)

    def measure(self, counted: Overlap) -> float:
        """Which of the overlap scores this metric averages."""
        return counted.dice


class MaskIoU(Dice):
    """Mean intersection over union of masks above `threshold`; both empty is 1 and counted, a missing mask is 0."""

    name = "mask IoU"

    def measure(self, counted: Overlap) -> float:
        return counted.iou


def check_same_shape(prediction: MaskLike, reference: MaskLike) -> None:
    if prediction.shape != reference.shape:
        raise MismatchError(
            f"mask of shape {prediction.shape} against {reference.shape}",
            "two masks are compared voxel by voxel on one grid",
            "bring the prediction to the reference's grid first",
        )
