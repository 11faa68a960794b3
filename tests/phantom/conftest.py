"""A handful of phantoms that every test may look at."""

from __future__ import annotations

from functools import cache

import pytest

from radfoundry.phantom import Phantom, make_phantom


@cache
def phantoms(split: str = "train", n: int = 14) -> tuple[Phantom, ...]:
    return tuple(make_phantom(index, split=split) for index in range(n))


@pytest.fixture(scope="session")
def train() -> tuple[Phantom, ...]:
    return phantoms("train")


@pytest.fixture(scope="session")
def held_out() -> tuple[Phantom, ...]:
    return phantoms("test", 10)
