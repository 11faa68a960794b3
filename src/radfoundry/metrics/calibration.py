"""Does 80 % sure mean right four times in five: expected calibration error and the Brier score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from radfoundry.errors import UsageError
from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.metric import Mean, Metric, divide

__all__ = ["Bin", "Brier", "ExpectedCalibrationError"]


class Bin(NamedTuple):
    """One bar of a reliability plot."""

    confidence: float
    accuracy: float
    n: int


class ExpectedCalibrationError(Metric[float, bool]):
    """Mean gap between confidence and accuracy over equal bins of confidence, each as heavy as it is full (Guo 2017).

    Update with the confidence in the answer given and whether it was right. A missing confidence is left out, counted.
    Bins include their upper end.
    """

    better = "lower"

    def __init__(self, bins: int = 15) -> None:
        super().__init__()
        self.bins = bins
        self.name = f"ECE, {bins} equal bins"

    def observe(self, prediction: float | None, reference: bool) -> FloatArray:
        row = np.zeros((3, self.bins))
        if prediction is not None:
            at = min(max(int(np.ceil(_probability(prediction) * self.bins)) - 1, 0), self.bins - 1)
            row[:, at] = 1, prediction, reference
        return row.ravel()

    def statistic(self, totals: FloatArray) -> FloatArray:
        count, confidence, right = np.split(totals, 3, axis=-1)
        return divide(np.abs(confidence - right).sum(-1), count.sum(-1))

    def size(self) -> int:
        return len(self._kept) - self.counts["missing"]

    def table(self) -> list[Bin]:
        """The filled bins, for a reliability plot."""
        if not self._kept:
            return []
        count, confidence, right = np.split(self.matrix().sum(0), 3)
        return [
            Bin(float(confidence[at] / count[at]), float(right[at] / count[at]), int(count[at]))
            for at in np.flatnonzero(count)
        ]


class Brier(Mean[float, bool]):
    """The mean squared gap between a probability and what happened (Brier 1950); a missing probability costs 1."""

    name = "Brier"
    better = "lower"
    worst = 1.0

    def score(self, prediction: float, reference: bool) -> float:
        return (_probability(prediction) - float(reference)) ** 2


def _probability(value: float) -> float:
    if not 0 <= value <= 1:
        raise UsageError(f"{value} is no probability", "calibration needs numbers from 0 to 1", "apply a sigmoid first")
    return value
