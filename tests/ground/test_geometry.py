"""Laws of grids, orientations, boxes and views."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from radfoundry.errors import GeometryError
from radfoundry.geometry import (
    Box,
    Grid,
    Orientation,
    View,
    canonicalise,
    combine_sides,
    mirror_side,
    side_of_box,
    side_of_point,
)

ORIENTATIONS = [
    (axes, signs) for axes in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)
]  # all 48 axis orders
spacings = st.tuples(*[st.floats(0.3, 5.0)] * 3)
origins = st.tuples(*[st.floats(-400, 400)] * 3)
shapes = st.tuples(*[st.integers(1, 6)] * 3)


def _direction(axes: tuple[int, ...], signs: tuple[float, ...], tilt: np.ndarray | None = None) -> tuple[float, ...]:
    matrix = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        matrix[axis, column] = sign
    if tilt is not None:
        matrix = tilt @ matrix
    return tuple(matrix.ravel())


def _rotation(angles: tuple[float, float, float]) -> np.ndarray:
    out = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.eye(3)
        a, b = [i for i in range(3) if i != axis]
        turn[a, a], turn[a, b], turn[b, a], turn[b, b] = c, -s, s, c
        out = out @ turn
    return out


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
@given(shape=shapes, spacing=spacings, origin=origins, angles=st.tuples(*[st.floats(-0.3, 0.3)] * 3))
def test_canonical_samples_stay_where_they_were_in_the_patient(axes, signs, shape, spacing, origin, angles) -> None:
    grid = Grid(shape, spacing, origin, _direction(axes, signs, _rotation(angles)))
    stored = np.arange(np.prod(shape)).reshape(shape)
    canonical, new, way_back = canonicalise(stored, grid)
    assert np.array_equal(way_back.invert(canonical), stored)
    assert np.all(np.diag(new.direction_matrix) > 0.5)
    for value in (0, stored.size // 2, stored.size - 1):
        before = grid.to_world(np.argwhere(stored == value)[0])
        after = new.to_world(np.argwhere(canonical == value)[0])
        assert np.allclose(before, after, atol=1e-6)


@given(shape=shapes, spacing=spacings, origin=origins, angles=st.tuples(*[st.floats(-3, 3)] * 3))
def test_world_and_index_are_inverse(shape, spacing, origin, angles) -> None:
    grid = Grid(shape, spacing, origin, tuple(_rotation(angles).ravel()))
    points = np.array([[0.0, 0.0, 0.0], [1.5, -2.0, 30.0]])
    assert np.allclose(grid.to_index(grid.to_world(points)), points, atol=1e-6)
    assert Grid.from_affine(shape, grid.affine).matches(grid)


def test_the_canonical_orientation_of_a_canonical_grid_is_the_identity() -> None:
    assert Orientation.of(Grid.axial((4, 5, 6), (3, 1, 1))) == Orientation((0, 1, 2), (False, False, False))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spacing": (0.0, 1.0, 1.0)}, "spacings are positive"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "spacings are positive"),
        ({"shape": (0, 3, 3)}, "at least one sample"),
        ({"origin": (0.0, float("inf"), 0.0)}, "origin is finite"),
        ({"direction": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.2, 0.0, 1.0)}, "right angles"),
        ({"shape": (3, 3)}, "two or three axes"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(change, words) -> None:
    good = {
        "shape": (3, 3, 3),
        "spacing": (1.0, 1.0, 1.0),
        "origin": (0.0, 0.0, 0.0),
        "direction": tuple(np.eye(3).ravel()),
    }
    with pytest.raises(GeometryError, match=words):
        Grid(**(good | change))


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=7)))
def test_the_box_of_a_mask_is_the_tightest(mask) -> None:
    box = Box.of_mask(mask)
    if not mask.any():
        assert box is None
        return
    assert mask[box.slices].sum() == mask.sum()
    for axis in range(mask.ndim):
        assert mask[box.slices].any(axis=tuple(a for a in range(mask.ndim) if a != axis))[[0, -1]].all()
    assert Box.from_flat(box.flat) == box


def test_iou_by_hand() -> None:
    a, b = Box((0, 0), (2, 2)), Box((1, 1), (3, 3))
    assert a.iou(b) == pytest.approx(1 / 7)
    assert a.iou(Box((2, 0), (4, 2))) == 0.0  # half-open boxes that touch share nothing
    assert a.iou(a) == 1.0


def test_a_box_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="does not end before"):
        Box((2, 0), (1, 4))


@given(shape=st.tuples(*[st.integers(4, 20)] * 3), spacing=spacings, target=st.tuples(*[st.integers(3, 24)] * 3))
def test_a_view_maps_points_there_and_back(shape, spacing, target) -> None:
    grid = Grid.axial(shape, spacing, (5.0, -3.0, 40.0))
    view = View.fit(grid, target)
    points = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    assert np.allclose(view.inverse.points(view.points(points)), points)
    assert np.allclose(view.target.to_world(view.points(points)), grid.to_world(points))


@given(shape=st.tuples(*[st.integers(6, 20)] * 3), target=st.tuples(*[st.integers(4, 24)] * 3), data=st.data())
def test_a_box_in_view_and_back_holds_the_box(shape, target, data) -> None:
    grid = Grid.axial(shape, (2.0, 1.0, 1.0))
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    box = Box(start, stop)
    view = View.fit(grid, target)
    there = view.box(box)
    assert there is not None
    back = view.inverse.box(there)
    assert back is not None
    assert all(a <= b for a, b in zip(back.start, box.start, strict=True))
    assert all(a >= b for a, b in zip(back.stop, box.stop, strict=True))


def test_a_view_of_the_same_grid_changes_nothing() -> None:
    grid = Grid.axial((4, 5, 5), (1.0, 1.0, 1.0))
    array = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    view = View.fit(grid, grid.shape)
    assert np.allclose(view.pixels(array), array, atol=1e-6)
    assert np.array_equal(view.labels(array), array)


def test_a_view_averages_what_it_shrinks_and_fills_what_it_pads() -> None:
    grid = Grid.axial((2, 8, 4), (1.0, 1.0, 1.0))
    view = View.fit(grid, (2, 4, 4))
    out = view.pixels(np.full(grid.shape, 7.0), fill=-1000.0)
    assert out.shape == (2, 4, 4)
    assert np.allclose(out[:, :, 1:3], 7.0)
    assert np.allclose(out[:, :, [0, 3]], -1000.0)


def test_labels_in_view_and_back_keep_a_region_in_place() -> None:
    grid = Grid.axial((16, 32, 32), (3.0, 1.0, 1.0))
    labels = np.zeros(grid.shape, np.uint8)
    labels[4:10, 5:20, 18:30] = 3
    view = View.fit(grid, (8, 24, 24))
    back = view.inverse.labels(view.labels(labels))
    dice = 2 * np.sum((back == 3) & (labels == 3)) / (np.sum(back == 3) + np.sum(labels == 3))
    assert dice > 0.85


def test_a_crop_keeps_the_spacing_and_the_place() -> None:
    grid = Grid.axial((6, 6, 6), (2.0, 1.0, 1.0), (1.0, 2.0, 3.0))
    view = View.crop(grid, Box((1, 2, 3), (4, 5, 6)))
    assert view.target.spacing == grid.spacing
    assert np.allclose(view.target.origin, grid.to_world((1, 2, 3)))


def test_views_join_grids_with_the_same_axes_only() -> None:
    grid = Grid.axial((4, 4, 4), (1, 1, 1))
    flipped = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), _direction((0, 1, 2), (-1, 1, 1)))
    with pytest.raises(GeometryError, match="same axes"):
        View(grid, flipped)


def test_left_is_where_x_grows() -> None:
    assert side_of_point(60.0, 0.0) == "left"
    assert side_of_point(-60.0, 0.0) == "right"
    assert side_of_point(2.0, 0.0) == "midline"
    grid = Grid.axial((2, 2, 100), (1.0, 1.0, 1.0))
    assert side_of_box(Box((0, 0, 60), (1, 1, 70)), grid, 50.0) == "left"
    assert side_of_box(Box((0, 0, 40), (1, 1, 70)), grid, 50.0) == "bilateral"


@pytest.mark.parametrize("side", ["left", "right", "bilateral", "midline", "none"])
def test_mirroring_twice_changes_nothing(side) -> None:
    assert mirror_side(mirror_side(side)) == side


def test_sides_combine() -> None:
    assert combine_sides(["left", "right"]) == "bilateral"
    assert combine_sides(["left", "none", "midline"]) == "left"
    assert combine_sides(["none", "midline"]) == "midline"
    assert combine_sides([]) == "none"
