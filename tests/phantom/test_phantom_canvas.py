"""Painting by partial volume keeps the size of what is painted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.geometry import Grid
from radfoundry.phantom.canvas import Canvas
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.shapes import random_turn


def canvas(step: float = 2.0, n: int = 40) -> Canvas:
    half = step * (n - 1) / 2
    return Canvas(Grid.axial((n, n, n), (step, step, step), (-half, -half, -half)), (0.0, 0.0, 0.0))


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(8, 24)] * 3), st.tuples(*[st.floats(-5, 5)] * 3), st.integers(0, 99))
def test_an_ellipsoid_covers_its_volume_however_it_is_turned(radii, centre, seed) -> None:
    c = canvas()
    covered = c.ellipsoid(centre, radii, random_turn(Dice(seed))).cover.sum() * 8
    assert covered == pytest.approx(4 / 3 * math.pi * math.prod(radii), rel=0.06)


@settings(max_examples=25, deadline=None)
@given(st.floats(4, 10), st.floats(10, 40))
def test_a_tube_covers_its_volume(radius, length) -> None:
    patch = canvas().tube(((0, 0, -length / 2), (0, 0, length / 2)), (radius, radius))
    expected = math.pi * radius**2 * length + 4 / 3 * math.pi * radius**3
    assert patch.cover.sum() * 8 == pytest.approx(expected, rel=0.08)


def test_a_shape_outside_the_canvas_touches_nothing() -> None:
    c = canvas()
    c.paint(c.ellipsoid((500, 0, 0), (10, 10, 10)), 100, organ=3)
    assert not c.organs.any()
    assert (c.hu == -1000).all()


def test_half_covered_samples_are_named_and_blended() -> None:
    c = canvas()
    c.paint(c.patch(c.points.x + 0 * c.points.y + 0 * c.points.z - 1), 0, organ=7, lesion=101)
    assert np.array_equal(c.organs == 7, np.broadcast_to(c.points.x >= 1, c.hu.shape))
    edge = c.hu[0, 0][np.flatnonzero(c.points.x.ravel() == 1)]
    assert edge == pytest.approx(-500)


def test_turns_are_orthonormal() -> None:
    for seed in range(20):
        turn = np.array(random_turn(Dice("turn", seed)))
        assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-12)
