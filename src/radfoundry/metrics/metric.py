"""The shape of every metric: update with samples, merge shards, ask for a score with its interval.

A metric keeps a few numbers per sample whose sums determine the value, so that a value over any set of patients,
and therefore every resample of a bootstrap, is one matrix product.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar

import numpy as np

from radfoundry.errors import UsageError
from radfoundry.metrics.intervals import (
    LEVEL,
    RESAMPLES,
    FloatArray,
    IntArray,
    bootstrap,
    cluster_sums,
    partition,
    percentile_interval,
)

__all__ = ["Mean", "Metric", "Ratio", "Score", "divide"]

P = TypeVar("P")
R = TypeVar("R")

_SHOWN = 20  # unparsable answers that are kept to be looked at


class Score(NamedTuple):
    """A value with its patient-clustered 95 % interval; `value` is None where it is undefined, `note` says why."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    note: str = ""


class Metric(ABC, Generic[P, R]):
    """Base of all metrics; a subclass says what it keeps of a sample and what the sums of that mean.

    `prediction` is None where no answer came: that is the worst score, counted under `counts["missing"]`.
    """

    name: str
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    exchangeable: ClassVar[bool] = True  # the rows of two models may be swapped in a permutation test

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.unparsed: list[str] = []
        self._kept: list[Any] = []
        self._patients: list[str | None] = []

    def update(self, prediction: P | None, reference: R, *, patient: str | None = None) -> None:
        """Score one sample; samples of one patient are resampled together, a sample without one stands alone."""
        if prediction is None:
            self.counts["missing"] += 1
        self.keep(self.observe(prediction, reference), patient)

    def keep(self, observed: Any, patient: str | None) -> None:
        """Take in what `observe` gave, for those who measured a sample once for several metrics."""
        self._kept.append(observed)
        self._patients.append(patient)

    def merge(self, other: Self) -> Self:
        """Take in all samples of another metric of the same name; gives itself.

        Raises:
            UsageError: the two measure different things.
        """
        if type(self) is not type(other) or self.name != other.name:
            raise UsageError(
                f"cannot merge {other.name} into {self.name}",
                "sums of different metrics mean nothing",
                "merge metrics of the same kind and settings",
            )
        self.counts.update(other.counts)
        self.unparsed = (self.unparsed + other.unparsed)[:_SHOWN]
        self._kept += other._kept
        self._patients += other._patients
        return self

    def result(self, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Score:
        """The value over all samples, with an interval from `resamples` draws of patients."""
        if not self._kept:
            return Score(None, None, None, 0, "no samples")
        codes = self.codes()
        estimate = self.estimator(codes)
        patients = int(codes.max()) + 1
        value = float(estimate(np.ones((1, patients)))[0])
        if not np.isfinite(value):
            return Score(None, None, None, self.size(), self._note("undefined"))
        if patients == 1:
            return Score(value, None, None, self.size(), self._note("one patient: no interval"))
        low, high = percentile_interval(bootstrap(estimate, codes, resamples=resamples, seed=seed), level)
        return Score(value, low, high, self.size(), self._note())

    def per_sample(self) -> list[float | None]:
        """Each sample's own score in the order of updates; None where a sample alone has none."""
        if not self._kept:
            return []
        values = self.statistic(self.matrix())
        return [float(v) if np.isfinite(v) else None for v in values]

    def patients(self) -> list[str | None]:
        """The patient of each sample, in the order of updates."""
        return list(self._patients)

    def codes(self) -> IntArray:
        """The patient number of each sample."""
        return partition(self._patients)

    def estimator(self, codes: IntArray) -> _Estimator:
        """A function from patient counts `[b, patients]` to values `[b]`."""
        return _Estimator(self, cluster_sums(self.matrix(), codes))

    def matrix(self) -> FloatArray:
        """What was kept, one row a sample: `[n, k]`."""
        return np.asarray(self._kept, dtype=np.float64)

    def size(self) -> int:
        """How many samples the value stands on."""
        return len(self._kept)

    @abstractmethod
    def observe(self, prediction: P | None, reference: R) -> Any:
        """What is kept of a sample."""

    @abstractmethod
    def statistic(self, totals: FloatArray) -> FloatArray:
        """From sums of rows `[..., k]` to values `[...]`; NaN where undefined."""

    def fail_to_parse(self, answer: str) -> None:
        """Count an answer that could not be read, and keep the first ones to be shown."""
        self.counts["unparsable"] += 1
        if len(self.unparsed) < _SHOWN:
            self.unparsed.append(answer)

    def _note(self, *first: str) -> str:
        return "; ".join([*first, *(f"{n} {what.replace('_', ' ')}" for what, n in sorted(self.counts.items()) if n)])


class _Estimator:
    """The statistic of a metric over drawn patients, as one matrix product."""

    def __init__(self, metric: Metric[Any, Any], sums: FloatArray) -> None:
        self.metric, self.sums = metric, sums

    def __call__(self, counts: FloatArray) -> FloatArray:
        return self.metric.statistic(counts @ self.sums)


class Ratio(Metric[P, R]):
    """A metric of two sums, numerator over denominator."""

    def statistic(self, totals: FloatArray) -> FloatArray:
        return divide(totals[..., 0], totals[..., 1])


class Mean(Ratio[P, R]):
    """The mean of each sample's own score; a missing answer scores `worst`; an undefined one is left out, and counted."""

    worst: float | None = 0.0

    @abstractmethod
    def score(self, prediction: P, reference: R) -> float | None:
        """One sample's score, None where it is undefined."""

    def observe(self, prediction: P | None, reference: R) -> tuple[float, float]:
        return self.weigh(self.worst if prediction is None else self.score(prediction, reference))

    def weigh(self, value: float | None) -> tuple[float, float]:
        """A score and its weight 1, or zeros for an undefined one, which is counted."""
        if value is None:
            self.counts["undefined"] += 1
            return (0.0, 0.0)
        return (value, 1.0)

    def size(self) -> int:
        return int(sum(weight for _, weight in self._kept))


def divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient with NaN, not a warning, where the denominator is 0."""
    out = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)
