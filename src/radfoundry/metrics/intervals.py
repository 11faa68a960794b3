"""How sure a score is: resampling whole patients, because two answers about one patient are not two observations.

One partition of the samples into patients serves the bootstrap, the paired bootstrap and the permutation test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = [
    "Interval",
    "bootstrap",
    "cluster_sums",
    "partition",
    "percentile_interval",
    "resample_counts",
    "swap_signs",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

RESAMPLES = 1000
LEVEL = 0.95
_CELLS_AT_ONCE = 2_000_000  # 16 MB of float64: the counts of a large run are never held together


class Interval(NamedTuple):
    """Two ends of a percentile interval; None where it cannot be known."""

    low: float | None
    high: float | None


def partition(patients: Sequence[str | None]) -> IntArray:
    """Number the patients 0, 1, ... in the order of their sorted keys; a sample without a patient stands alone.

    Sorting makes the numbering, and with it a seeded interval, independent of the order in which shards were merged.
    """
    keys = np.array([p or f"\0{i:09d}" for i, p in enumerate(patients)], dtype=object).astype(str)
    return np.unique(keys, return_inverse=True)[1].reshape(-1).astype(np.intp)


def cluster_sums(rows: FloatArray, codes: IntArray) -> FloatArray:
    """Add the rows `[n, k]` of each patient: `[patients, k]`."""
    n = len(codes)
    indicator = sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(_count(codes), n))
    return np.asarray(indicator @ rows)


def resample_counts(clusters: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each patient is drawn in each resample, in blocks `[b, clusters]` that fit in memory."""
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // clusters)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(clusters, size=(rows, clusters))
        drawn += np.arange(rows)[:, None] * clusters
        yield np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)


def swap_signs(clusters: int, permutations: int, seed: int) -> Iterator[FloatArray]:
    """Which patients change sides (1) in each permutation of a paired test, in blocks `[b, clusters]`."""
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // clusters)
    for start in range(0, permutations, block):
        rows = min(block, permutations - start)
        yield rng.integers(2, size=(rows, clusters)).astype(np.float64)


def bootstrap(
    estimate: Callable[[FloatArray], FloatArray], codes: IntArray, *, resamples: int = RESAMPLES, seed: int = 0
) -> FloatArray:
    """The statistic under `resamples` draws of as many patients as there are, with replacement: `[resamples]`.

    `estimate` takes counts `[b, patients]` and gives `[b]`; NaN where a draw leaves the statistic undefined.
    """
    blocks = [estimate(counts) for counts in resample_counts(_count(codes), resamples, seed)]
    return np.concatenate(blocks) if blocks else np.empty(0)


def percentile_interval(values: FloatArray, level: float = LEVEL) -> Interval:
    """The middle `level` of the resampled values, undefined ones left out (Efron's percentile interval)."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Interval(None, None)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _count(codes: IntArray) -> int:
    return int(codes.max()) + 1 if codes.size else 0
