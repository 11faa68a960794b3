"""Draws come from the raw words of PCG64 alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from radfoundry.phantom.dice import Dice

FROZEN = [198, 614, 126, 152, 240, 416]


def test_the_first_draws_of_a_stream_are_frozen() -> None:
    dice = Dice("frozen", 1)
    assert [dice.whole(0, 999) for _ in range(6)] == FROZEN


def test_streams_of_other_names_are_independent() -> None:
    assert Dice("a", "b").unit() != Dice("ab").unit()
    assert Dice("a", 1).unit() == Dice("a", 1).unit()


def test_every_item_is_picked_and_none_is_lost_in_a_shuffle() -> None:
    dice = Dice("items")
    seen = Counter(dice.pick("abcd") for _ in range(4000))
    assert min(seen.values()) > 880
    assert sorted(dice.shuffled(range(10))) == list(range(10))


def test_bounds_are_kept() -> None:
    dice = Dice("bounds")
    for _ in range(500):
        assert 2 <= dice.between(2, 3) < 3
        assert 2 <= dice.middling(2, 3) < 3
        assert dice.whole(4, 6) in (4, 5, 6)


def test_noise_has_mean_nought_and_deviation_one() -> None:
    noise = Dice("noise").noise((40, 50, 50))
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    # kurtosis of the sum of four uniform draws: 3 - 6 / (5 * 4)
    assert (noise**4).mean() == pytest.approx(2.7, abs=0.1)
