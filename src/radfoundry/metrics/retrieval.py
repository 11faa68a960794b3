"""Finding the right one among many: recall at k and mean reciprocal rank, with ties and identical texts done justice.

Candidates with equal scores count by the chance of a random order, so a model that gives every candidate the
same score earns chance, not luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from math import comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.metrics.metric import Mean

__all__ = ["MeanReciprocalRank", "RecallAtK", "recall_ceiling"]

Row = npt.NDArray[np.floating] | Sequence[float]


class RecallAtK(Mean[Row, int | Collection[int]]):
    """The share of queries with a right candidate among the first `k`; name the query in `queries` ("image", "text").

    A prediction is the query's score for each candidate, the reference the index of the right one, or of all right ones.
    `k` beyond the number of candidates means all of them.
    """

    def __init__(self, k: int, queries: str = "") -> None:
        super().__init__()
        self.k = k
        self.name = f"R@{k}{f' of {queries} queries' if queries else ''}"

    def score(self, prediction: Row, reference: int | Collection[int]) -> float:
        standing = _standing(prediction, reference)
        free = min(max(self.k - standing.above, 0), standing.level)
        return 1 - comb(standing.level - standing.right, free) / comb(standing.level, free)


class MeanReciprocalRank(Mean[Row, int | Collection[int]]):
    """The mean of 1/rank of the first right candidate, expected over the orders of ties."""

    name = "MRR"

    def score(self, prediction: Row, reference: int | Collection[int]) -> float:
        above, level, right = _standing(prediction, reference)
        ways = comb(level, right)
        return sum(comb(level - at, right - 1) / ways / (above + at) for at in range(1, level - right + 2))


def recall_ceiling(candidates: Sequence[Hashable], k: int) -> float:
    """The highest recall at `k` that any scorer can expect when each candidate is asked for once by its own text.

    `candidates` are what a scorer can tell apart (the texts): d identical ones can only be ordered by luck, so a
    query for one of them is found with probability min(1, k / d).
    """
    copies = Counter(candidates)
    return float(np.mean([min(1.0, k / copies[candidate]) for candidate in candidates]))


class _Standing(NamedTuple):
    above: int  # candidates that score higher than the best right one
    level: int  # candidates that score the same, it included
    right: int  # right ones among these


def _standing(scores: Row, reference: int | Collection[int]) -> _Standing:
    values = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=-np.inf)
    right = values[[reference] if isinstance(reference, int | np.integer) else list(reference)]
    best = right.max()
    return _Standing(int((values > best).sum()), int((values == best).sum()), int((right == best).sum()))
