"""Weighted mixtures of samples."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.corpus import Mixture
from radfoundry.errors import UsageError

# a mixture only passes its parts' items on, so numbers stand in for samples here
PARTS = [range(10), range(100, 105), range(200, 230)]


def drawn(weights: list[float], length: int, seed: int = 0) -> list[int]:
    return list(Mixture(PARTS, weights, length=length, seed=seed))  # type: ignore[arg-type]


@given(st.lists(st.floats(0.1, 5), min_size=3, max_size=3), st.integers(1, 300))
def test_parts_come_in_proportion_to_their_weights(weights: list[float], length: int) -> None:
    counts = Counter(value // 100 for value in drawn(weights, length))
    for part, weight in enumerate(weights):
        assert abs(counts[part] - weight / sum(weights) * length) < 1


def test_every_stretch_holds_the_parts_in_proportion() -> None:
    values = drawn([1, 1, 2], 1000)
    for start in range(0, 1000, 100):
        counts = Counter(value // 100 for value in values[start : start + 100])
        assert abs(counts[2] - 50) <= 4


def test_a_part_is_gone_through_whole_before_a_sample_comes_again() -> None:
    small = [value for value in drawn([1, 1, 1], 60) if value // 100 == 1]
    assert [sorted(small[i : i + 5]) for i in range(0, 20, 5)] == [[100, 101, 102, 103, 104]] * 4


def test_the_seed_alone_decides() -> None:
    assert drawn([1, 2, 3], 50, seed=4) == drawn([1, 2, 3], 50, seed=4)
    assert drawn([1, 2, 3], 50, seed=4) != drawn([1, 2, 3], 50, seed=5)


def test_a_mixture_is_read_from_any_place() -> None:
    mixture = Mixture(PARTS, [1, 1, 1], length=30, seed=1)  # type: ignore[arg-type]
    assert [mixture[i] for i in (29, 3, 3)] == [list(mixture)[i] for i in (29, 3, 3)]
    assert list(mixture[5:8]) == list(mixture)[5:8]
    assert mixture.part.dtype == np.int64


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0, -1.0], [0.0, 0.0, 0.0]])
def test_weights_that_mean_nothing_are_wrong_use(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="one weight a part"):
        drawn(weights, 5)


def test_an_empty_part_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="is empty"):
        Mixture([[], []], [1, 1], length=3)
