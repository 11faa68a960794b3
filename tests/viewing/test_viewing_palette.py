from __future__ import annotations

import csv
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.viewing import region_colour, region_label
from radfoundry.viewing.palette import hex_to_rgb, palette

# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB
_EYES = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def _cielab(eye: npt.NDArray) -> npt.NDArray:
    rgb = np.array([hex_to_rgb(colour) for colour in palette()]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ eye.T
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x = np.clip(linear, 0, 1) @ to_xyz.T / np.array([0.9505, 1, 1.089])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("eye", _EYES)
def test_every_pair_of_colours_is_apart_to_every_kind_of_eye(eye: str) -> None:
    lab = _cielab(_EYES[eye])
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2) + 1000 * np.eye(len(lab))
    assert distance.min() > 16


def test_every_colour_is_light_enough_for_a_dark_page() -> None:
    assert _cielab(_EYES["normal"])[:, 0].min() > 48


def test_every_listed_region_has_a_colour_of_the_palette() -> None:
    lines = (files("radfoundry.viewing") / "region_colours.tsv").read_text().splitlines()
    rows = list(csv.DictReader(lines, delimiter="\t"))
    assert {row["colour"] for row in rows} <= set(palette())
    assert len({row["region"] for row in rows}) == len(rows)


@given(st.text(min_size=1, max_size=30))
def test_any_name_has_a_colour_whatever_joins_its_words(name: str) -> None:
    assert region_colour(name) in palette()
    assert region_colour(name.replace(" ", "_")) == region_colour(name)


def test_the_order_of_words_and_the_way_the_side_is_said_do_not_matter() -> None:
    assert region_colour("kidney_left") == region_colour("left kidney") == region_colour("kidney", "left")
    assert region_colour("left kidney") != region_colour("right kidney")


def test_a_side_is_said_once() -> None:
    assert region_label("kidney", "left") == "left kidney"
    assert region_label("kidney_left", "left") == "kidney left"
    assert region_label("liver", "none") == "liver"
    assert region_label("lung", "bilateral") == "lung"
