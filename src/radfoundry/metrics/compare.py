"""Is one model better than another on the same samples: a paired bootstrap and a permutation test over patients."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from radfoundry.errors import UsageError
from radfoundry.metrics.intervals import (
    LEVEL,
    RESAMPLES,
    FloatArray,
    bootstrap,
    cluster_sums,
    percentile_interval,
    swap_signs,
)
from radfoundry.metrics.metric import Metric

__all__ = ["Difference", "paired_difference"]


class Difference(NamedTuple):
    """First minus second, its interval, and the two-sided p of a paired permutation test (None where not defined)."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int


def paired_difference(
    first: Metric[Any, Any],
    second: Metric[Any, Any],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """How much `first` exceeds `second`, both updated with the same samples in the same order.

    The interval draws the same patients for both. The p value exchanges the two answers of whole patients
    (approximate randomisation: Noreen 1989) and counts differences at least as large; it never reaches 0.

    Raises:
        UsageError: the metrics differ in kind, or their samples do not belong to the same patients in order.
    """
    _check_paired(first, second)
    if not first.patients():
        return Difference(None, None, None, None, 0)
    codes = first.codes()
    one, two = first.estimator(codes), second.estimator(codes)

    def difference(counts: FloatArray) -> FloatArray:
        return one(counts) - two(counts)

    clusters = int(codes.max()) + 1
    value = float(difference(np.ones((1, clusters)))[0])
    if not np.isfinite(value):
        return Difference(None, None, None, None, first.size())
    low, high = (None, None)
    if clusters > 1:
        low, high = percentile_interval(bootstrap(difference, codes, resamples=resamples, seed=seed), level)
    return Difference(value, low, high, _permutation_p(first, second, value, resamples, seed), first.size())


def _check_paired(first: Metric[Any, Any], second: Metric[Any, Any]) -> None:
    if type(first) is not type(second) or first.name != second.name:
        raise UsageError(
            f"cannot compare {first.name} with {second.name}", "a difference needs one and the same metric", ""
        )
    if first.patients() != second.patients():
        raise UsageError(
            "the two runs are not paired",
            f"{len(first.patients())} and {len(second.patients())} samples, or their patients differ in order",
            "update both metrics with the same samples in the same order",
        )


def _permutation_p(
    first: Metric[Any, Any], second: Metric[Any, Any], observed: float, permutations: int, seed: int
) -> float | None:
    if not first.exchangeable:
        return None
    codes = first.codes()
    one, two = cluster_sums(first.matrix(), codes), cluster_sums(second.matrix(), codes)
    at_least = 0
    for swapped in swap_signs(len(one), permutations, seed):
        moved = swapped @ (two - one)
        null = first.statistic(one.sum(0) + moved) - second.statistic(two.sum(0) - moved)
        at_least += int(np.sum(np.abs(null) >= abs(observed) - 1e-12))
    return (at_least + 1) / (permutations + 1)
