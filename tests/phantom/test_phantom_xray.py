"""The radiograph is a projection of the same patient."""

from __future__ import annotations

import numpy as np
import pytest

from radfoundry.geometry import Grid
from radfoundry.phantom import Phantom
from radfoundry.phantom.canvas import Canvas
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.radiograph import XRAY_NAMES, _exp_half, project

LABELS = {name: value for value, name in XRAY_NAMES.items()}


def test_pixels_are_square_and_cover_the_volume(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        assert phantom.xray.dtype == np.uint8
        assert phantom.xray.shape == phantom.xray_labels.shape == phantom.xray_grid.shape == (52, 64)
        assert phantom.xray_grid.unit == "mm"
        assert phantom.xray_grid.spacing == (5.5, 5.5)


def test_lungs_are_darker_than_what_lies_between_them(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        lungs = phantom.xray[np.isin(phantom.xray_labels, [1, 2])].mean()
        assert (
            lungs + 20 < phantom.xray[phantom.xray_labels == LABELS["heart"]].mean()
            if (phantom.xray_labels == 5).any()
            else True
        )


def test_the_patients_left_is_on_the_pictures_right_and_the_head_on_top(train: tuple[Phantom, ...]) -> None:
    for phantom in train:

        def middle(name: str, phantom: Phantom = phantom) -> np.ndarray:
            return np.argwhere(phantom.xray_labels == LABELS[name]).mean(axis=0)

        assert middle("left clavicle")[1] > middle("right clavicle")[1]
        assert middle("left clavicle")[0] < middle("left lung")[0]


def test_xray_truth_speaks_only_of_what_a_radiograph_shows(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        assert {f.concept for f in phantom.xray_truth} < {f.concept for f in phantom.truth}
        lesions = {int(v) for v in np.unique(phantom.xray_labels) if v > 100}
        assert lesions <= set(phantom.xray_label_names)


def test_a_water_slab_attenuates_as_water_does() -> None:
    grid = Grid.axial((4, 50, 6), (5.5, 2.0, 5.5))
    canvas = Canvas(grid, (0.0, 0.0, 0.0))
    canvas.hu[:, 10:40] = 0
    dense, _ = project(canvas, Dice("a"))
    canvas.hu[:, 10:25] = -1000
    thin, _ = project(canvas, Dice("a"))
    # 60 mm and 30 mm of water are 1.158 and 0.579 attenuation lengths: both below the darkest grey of every window
    assert dense.mean() >= thin.mean()
    canvas.hu[:] = 0
    full, _ = project(canvas, Dice("a"))
    assert full.mean() > dense.mean()


def test_the_machine_independent_exponential_is_the_exponential() -> None:
    line = np.linspace(0, 12, 200)
    assert _exp_half(line) == pytest.approx(np.exp(line / 2), rel=0.02)
