"""Waves follow from keys alone."""

from __future__ import annotations

import random

from corpus_toys import ToySource
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.corpus.plan import plan_waves

KEYS = st.lists(st.text(max_size=8), unique=True, max_size=60)


def waves_of(keys: list[str], wave_rows: int) -> dict[str, list[str]]:
    sources = [ToySource(key) for key in keys]
    return {w.name: [s.key for s in w.sources(sources)] for w in plan_waves(sources, wave_rows)}


@settings(deadline=None)
@given(KEYS, st.integers(1, 9))
def test_every_source_is_in_exactly_one_wave_and_none_is_too_large(keys: list[str], wave_rows: int) -> None:
    waves = waves_of(keys, wave_rows)
    assert sorted(key for wave in waves.values() for key in wave) == sorted(keys)
    assert all(1 <= len(wave) <= wave_rows for wave in waves.values())


@settings(deadline=None)
@given(KEYS, st.integers(1, 9), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(keys: list[str], wave_rows: int, rng: random.Random) -> None:
    shuffled = list(keys)
    rng.shuffle(shuffled)
    assert waves_of(keys, wave_rows) == waves_of(shuffled, wave_rows)


@settings(deadline=None)
@given(KEYS, st.text(min_size=9), st.integers(1, 9))
def test_a_new_source_changes_only_the_wave_that_it_falls_into(keys: list[str], new: str, wave_rows: int) -> None:
    before, after = waves_of(keys, wave_rows), waves_of([*keys, new], wave_rows)
    lost = [name for name, wave in before.items() if after.get(name) != wave]
    assert len(lost) <= 1


def test_two_sources_of_one_key_share_a_wave() -> None:
    assert any(wave == ["a", "a"] for wave in waves_of(["a", "b", "c", "a"], 2).values())


def test_no_sources_give_no_waves() -> None:
    assert waves_of([], 4) == {}
