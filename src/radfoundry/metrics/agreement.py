"""Agreement beyond chance: Cohen's kappa of two raters, Fleiss' kappa of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from radfoundry.errors import UsageError
from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.metric import Metric, divide

__all__ = ["CohenKappa", "FleissKappa"]


class CohenKappa(Metric[str, str]):
    """Cohen's kappa (1960) over a fixed list of labels, in their order if weighted.

    Undefined when chance agreement is complete. A missing answer is a label of its own, so it never agrees.
    """

    def __init__(self, labels: Sequence[str], weights: Literal["none", "linear", "quadratic"] = "none") -> None:
        super().__init__()
        self.labels, self.weights = tuple(labels), weights
        self.name = f"Cohen kappa{'' if weights == 'none' else f', {weights} weights'}"
        distance = np.abs(np.subtract.outer(np.arange(len(labels) + 1.0), np.arange(len(labels) + 1.0)))
        self._cost = (distance > 0).astype(np.float64) if weights == "none" else distance
        if weights == "quadratic":
            self._cost = distance**2

    def observe(self, prediction: str | None, reference: str) -> FloatArray:
        if reference not in self.labels or (prediction is not None and prediction not in self.labels):
            raise UsageError(f"unknown label in {prediction!r}, {reference!r}", f"the list is {self.labels}", "")
        size = len(self.labels) + 1
        cell = np.zeros((size, size))
        cell[size - 1 if prediction is None else self.labels.index(prediction), self.labels.index(reference)] = 1
        return cell.ravel()

    def statistic(self, totals: FloatArray) -> FloatArray:
        size = len(self.labels) + 1
        table = totals.reshape(*totals.shape[:-1], size, size)
        expected = table.sum(-1)[..., :, None] * table.sum(-2)[..., None, :]
        observed_cost = (table * self._cost).sum((-1, -2)) * table.sum((-1, -2))
        return 1 - divide(observed_cost, (expected * self._cost).sum((-1, -2)))


class FleissKappa(Metric[Sequence[str], None]):
    """Fleiss' kappa (1971): each update is the labels that the raters gave to one subject; no reference.

    Every subject needs the same number of raters, two or more; which rater is which does not matter.
    """

    name = "Fleiss kappa"
    exchangeable = False

    def observe(self, prediction: Sequence[str] | None, reference: None) -> tuple[str, ...]:
        ratings = tuple(prediction or ())
        if len(ratings) < 2 or (self._kept and len(ratings) != len(self._kept[0])):
            raise UsageError(f"{len(ratings)} ratings of a subject", "each needs the same number, two or more", "")
        return ratings

    def matrix(self) -> FloatArray:
        """Agreement within the subject, 1, then how often each label was given: `[n, 2 + labels]`."""
        labels = sorted({label for ratings in self._kept for label in ratings})
        given = np.array([[ratings.count(label) for label in labels] for ratings in self._kept], dtype=np.float64)
        raters = len(self._kept[0])
        agreement = ((given**2).sum(1) - raters) / (raters * (raters - 1))
        return np.column_stack([agreement, np.ones_like(agreement), given])

    def statistic(self, totals: FloatArray) -> FloatArray:
        agreement = divide(totals[..., 0], totals[..., 1])
        shares = divide(totals[..., 2:], totals[..., 2:].sum(-1, keepdims=True))
        chance = (shares**2).sum(-1)
        return divide(agreement - chance, 1 - chance)
