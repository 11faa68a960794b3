"""Scorers as published, faults included, for comparison with published figures only; `Published` averages them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from radfoundry.metrics.metric import Mean

__all__ = ["Published"]

P = TypeVar("P")
R = TypeVar("R")


class Published(Mean[P, R], Generic[P, R]):
    """The mean of a published function of (prediction, reference).

    `missing` is what its authors' program makes of an answer that never came: a score, or None to drop it silently
    (here it is counted all the same).
    """

    def __init__(self, name: str, function: Callable[[P, R], float], missing: float | None = 0.0) -> None:
        super().__init__()
        self.name = f"{name} (published)"
        self.function, self.missing = function, missing

    def observe(self, prediction: P | None, reference: R) -> tuple[float, float]:
        return self.weigh(self.missing) if prediction is None else super().observe(prediction, reference)

    def score(self, prediction: P, reference: R) -> float:
        return float(self.function(prediction, reference))
