"""Geometry proved with pixels: what lies on the patient's left must be drawn on the right, whatever the stored order."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radfoundry.geometry import Box, Grid
from radfoundry.viewing import draw_slice, draw_study
from radfoundry.viewing.overlays import NamedBox
from radfoundry.viewing.slices import MARGIN, Layout, Plane

_BASE = Grid.axial((24, 32, 40), (3.0, 1.5, 1.0), (-20.0, -24.0, -36.0))


def _turn(degrees: float, axis: str) -> npt.NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def _ball_in_patient(
    grid: Grid, centre_lps: tuple[float, float, float], radius_mm: float = 7.0
) -> npt.NDArray[np.int16]:
    """Return a bright ball at a place in the patient, found by the world coordinates of each sample alone."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    inside = np.linalg.norm(grid.to_world(index) - np.asarray(centre_lps), axis=-1) < radius_mm
    return np.where(inside, 1000, -1000).astype(np.int16)


def _stored(axes: tuple[int, ...], flips: tuple[bool, ...], rotation: npt.NDArray[np.float64]) -> Grid:
    """Return a grid around the patient's origin with the given axis order, flips and rotation."""
    linear = rotation @ (_BASE.direction_matrix * np.asarray(_BASE.spacing[::-1]))[:, list(axes)]
    linear = linear * np.where(flips, -1.0, 1.0)
    shape_xyz = np.asarray(_BASE.shape[::-1])[list(axes)]
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = -linear @ ((shape_xyz - 1) / 2)
    return Grid.from_affine(tuple(int(n) for n in shape_xyz[::-1]), affine)


def _centroid(picture: Image.Image) -> tuple[float, float]:
    """Return (x, y) of the bright pixels inside the margin, from 0 to 1."""
    inner = np.asarray(picture.convert("L"))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    y, x = np.nonzero(inner > 128)
    return float(x.mean() / inner.shape[1]), float(y.mean() / inner.shape[0])


_ORIENTATIONS = list(product(permutations(range(3)), product((False, True), repeat=3)))
_OBLIQUE = [np.eye(3), _turn(17, "x") @ _turn(-12, "y") @ _turn(20, "z")]


@pytest.mark.parametrize("rotation", _OBLIQUE, ids=["straight", "oblique"])
@pytest.mark.parametrize(("axes", "flips"), _ORIENTATIONS)
def test_the_patients_left_is_on_the_right_in_all_48_orders(
    axes: tuple[int, ...], flips: tuple[bool, ...], rotation: npt.NDArray[np.float64]
) -> None:
    grid = _stored(axes, flips, rotation)
    pixels = _ball_in_patient(grid, (9.0, 0.0, 0.0))
    for plane in ("axial", "coronal"):
        picture = draw_slice(pixels, grid, plane, size=120)
        assert _centroid(picture)[0] > 0.6


@pytest.mark.parametrize(("axes", "flips"), _ORIENTATIONS)
def test_front_is_up_in_axial_head_is_up_elsewhere_front_is_left_in_sagittal(
    axes: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    grid = _stored(axes, flips, np.eye(3))
    front = _ball_in_patient(grid, (0.0, -10.0, 0.0))
    head = _ball_in_patient(grid, (0.0, 0.0, 15.0), 12.0)
    assert _centroid(draw_slice(front, grid, "axial", size=120))[1] < 0.4
    assert _centroid(draw_slice(front, grid, "sagittal", size=120))[0] < 0.4
    assert _centroid(draw_slice(head, grid, "coronal", size=120))[1] < 0.4
    assert _centroid(draw_slice(head, grid, "sagittal", size=120))[1] < 0.4


def test_a_mask_on_the_patients_left_is_painted_on_the_pictures_right() -> None:
    labels = (_ball_in_patient(_BASE, (10.0, 0.0, 0.0)) > 0).astype(np.uint8)
    for plane in ("axial", "coronal"):
        picture = draw_study(
            np.zeros_like(labels, dtype=np.int16), _BASE, labels, {1: "spleen"}, planes=(plane,), size=160
        )
        coloured = np.ptp(
            np.asarray(picture)[MARGIN : picture.height - MARGIN - 28, MARGIN:-MARGIN].astype(int), axis=2
        )
        x = np.nonzero(coloured > 40)[1]
        assert x.min() > coloured.shape[1] / 2


@pytest.mark.parametrize(("plane", "letters"), [("axial", "RLAP"), ("coronal", "RLHF"), ("sagittal", "APHF")])
def test_letters_are_left_right_top_bottom_of_the_plane(plane: Plane, letters: str) -> None:
    assert "".join(Layout(_BASE, plane, 1.0).sides()) == letters


def test_letters_come_from_the_directions_and_not_from_the_array() -> None:
    mirrored = Grid((24, 32, 40), (3.0, 1.5, 1.0), (20.0, -24.0, -36.0), (-1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    assert Layout(mirrored, "axial", 1.0).sides()[:2] == ("L", "R")


def test_an_oblique_plane_says_so_with_a_second_letter() -> None:
    direction = tuple(float(v) for v in _turn(25, "z").ravel())
    leaning = Grid((24, 32, 40), (3.0, 1.5, 1.0), (0.0, 0.0, 0.0), direction)
    assert Layout(leaning, "axial", 1.0).sides() == ("RA", "LP", "AL", "PR")
    assert Layout(leaning, "coronal", 1.0).sides() == ("RA", "LP", "H", "F")


def test_only_a_frontal_picture_has_a_left_and_a_right() -> None:
    layout = Layout(Grid.picture((100, 80)), "picture", 1.0)
    assert "".join(layout.sides("frontal")) == "RLHF"
    assert layout.sides("lateral") == ("", "", "H", "F")
    assert layout.sides("") == ("", "", "", "")


def test_a_mirrored_picture_grid_swaps_the_letters() -> None:
    grid = Grid((100, 80), (1.0, 1.0), (0.0, 0.0), (-1.0, 0.0, 0.0, 1.0), "pixel")
    assert Layout(grid, "picture", 1.0).sides("frontal")[:2] == ("L", "R")


def test_proportions_follow_the_spacing() -> None:
    for plane, (width, height) in {"axial": (40, 48), "coronal": (40, 72), "sagittal": (48, 72)}.items():
        picture_width, picture_height = Layout.fit(_BASE, plane, 480).size
        assert picture_width / picture_height == pytest.approx(width / height, rel=0.01)
        assert max(picture_width, picture_height) == 480


def test_a_box_lies_around_the_pixels_that_it_holds() -> None:
    pixels = np.full(_BASE.shape, -1000, np.int16)
    box = Box((5, 8, 25), (12, 16, 35))
    pixels[box.slices] = 1000
    for plane in ("axial", "coronal", "sagittal"):
        layout = Layout.fit(_BASE, plane, 240)
        index = int(box.centre[layout.cut_axis or 0])
        bright = (
            np.asarray(draw_slice(pixels, _BASE, plane, index, size=240).convert("L"))[MARGIN:-MARGIN, MARGIN:-MARGIN]
            > 128
        )
        (rows,), (columns,) = np.nonzero(bright.any(axis=1)), np.nonzero(bright.any(axis=0))
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert np.allclose(found, layout.box(box), atol=1.5)


def test_a_box_is_drawn_only_on_slices_that_it_passes() -> None:
    pixels = np.full(_BASE.shape, -1000, np.int16)
    named = NamedBox("nodule", Box((2, 8, 25), (4, 16, 35)))
    far = NamedBox("mass", Box((20, 2, 2), (22, 6, 6)))
    both = np.asarray(draw_study(pixels, _BASE, boxes=[named, far], planes=("axial",), size=200))
    one = np.asarray(draw_study(pixels, _BASE, boxes=[named], planes=("axial",), size=200))
    assert np.array_equal(both[: 200 - MARGIN], one[: 200 - MARGIN])


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    black = np.full((30, 200, 200), -1000, np.int16)
    picture = np.asarray(draw_slice(black, Grid.axial((30, 200, 200), (2.0, 1.0, 1.0)), size=400).convert("L"))
    row = picture[picture.shape[0] - MARGIN + 4]
    lit = np.nonzero(row > 200)[0]
    assert lit[-1] - lit[0] == pytest.approx(50 * 2, abs=1)  # the longest round length below a third of 200 mm


def test_all_slices_of_a_volume_share_one_window() -> None:
    volume = np.zeros((4, 20, 20), np.float32)
    volume[0], volume[1] = 100.0, 50.0
    grid = Grid.axial((4, 20, 20), (1.0, 1.0, 1.0))
    greys = [int(np.asarray(draw_slice(volume, grid, index=i, modality="MR", size=60))[50, 50, 0]) for i in range(3)]
    assert greys[0] == 255
    assert 120 < greys[1] < 135
    assert greys[2] == 0


def test_the_inputs_are_left_as_they_were() -> None:
    pixels, labels = np.zeros(_BASE.shape, np.int16), np.ones(_BASE.shape, np.uint8)
    pixels.setflags(write=False)
    labels.setflags(write=False)
    draw_study(pixels, _BASE, labels, {1: "lung"}, size=80)
