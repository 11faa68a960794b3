from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from radfoundry.geometry import Box, Grid
from radfoundry.viewing import NamedBox, contact_sheet, draw_study, region_colour
from radfoundry.viewing.figures import focus
from radfoundry.viewing.palette import hex_to_rgb
from radfoundry.viewing.slices import MARGIN

_GRID = Grid.axial((20, 30, 40), (2.0, 1.0, 1.0))


def _colour_columns(picture: Image.Image, name: str) -> np.ndarray:
    hits = (np.asarray(picture) == hex_to_rgb(region_colour(name))).all(axis=2)
    return np.nonzero(hits)[1]


def test_planes_pass_where_the_named_labels_are_largest() -> None:
    labels = np.zeros(_GRID.shape, np.uint8)
    labels[3:15, 10, 10] = 1
    labels[7, 5:25, 5:25] = 1
    labels[18] = 2
    assert focus(_GRID, labels, {1: "liver"}, ())[0] == 7


def test_planes_pass_through_the_box_without_labels_and_the_middle_without_both() -> None:
    assert focus(_GRID, None, {}, [NamedBox("nodule", Box((2, 4, 6), (5, 9, 11)))]) == (3, 6, 8)
    assert focus(_GRID, None, {}, ()) == (10, 15, 20)


def test_labels_that_are_not_named_are_not_drawn() -> None:
    labels = np.full(_GRID.shape, 9, np.uint8)
    picture = np.asarray(draw_study(np.zeros(_GRID.shape, np.int16), _GRID, labels, {1: "liver"}, size=100)).astype(int)
    inner = picture[MARGIN + 5 : 60, MARGIN + 5 : 60]
    assert np.ptp(inner, axis=2).max() == 0


def test_all_panes_share_one_scale() -> None:
    picture = draw_study(np.zeros(_GRID.shape, np.int16), _GRID, planes=("axial", "coronal", "sagittal"), size=200)
    assert picture.width == 3 * 2 * MARGIN + 200 + 200 + 150


def test_a_picture_is_drawn_with_its_mask_and_box() -> None:
    labels = np.zeros((90, 120), np.uint8)
    labels[20:50, 70:110] = 1
    box = NamedBox("nodule", Box((60, 10), (80, 30)))
    picture = draw_study(
        np.zeros((90, 120), np.uint8),
        Grid.picture((90, 120)),
        labels,
        {1: "left lung"},
        [box],
        modality="DX",
        view="frontal",
    )
    body = picture.crop((0, 0, picture.width, picture.height - 26))
    assert _colour_columns(body, "left lung").min() > picture.width / 2
    assert _colour_columns(body, "nodule").max() < picture.width / 2


def test_a_long_title_is_cut_and_not_drawn_outside() -> None:
    picture = draw_study(np.zeros(_GRID.shape, np.int16), _GRID, title="a very long title " * 60, size=100)
    assert np.asarray(picture)[:26, -MARGIN + 2 :].max() == 0


def test_a_contact_sheet_keeps_proportions_and_never_enlarges() -> None:
    images = [
        Image.new("RGB", (640, 320), (255, 0, 0)),
        Image.new("RGB", (50, 40), (0, 255, 0)),
        Image.new("L", (10, 10), 255),
    ]
    sheet = np.asarray(contact_sheet(images, 2, cell=160, gap=4))
    assert sheet.shape == (80 + 10 + 3 * 4, 2 * 164 + 4, 3)
    assert (sheet == (255, 0, 0)).all(axis=2).sum() == 160 * 80
    assert (sheet == (0, 255, 0)).all(axis=2).sum() == 50 * 40


@pytest.mark.parametrize("planes", [("axial",), ("coronal",)])
def test_on_a_real_ct_the_liver_is_on_the_pictures_left_and_the_spleen_on_its_right(
    shared_data: Path, planes: tuple
) -> None:
    folder = shared_data / "ct_totalseg"
    scan, label = (nibabel.load(folder / n) for n in ("example_ct.nii.gz", "example_seg_fast_force_split.nii.gz"))
    grid = Grid.from_affine(scan.shape[::-1], np.diag([-1, -1, 1, 1]) @ scan.affine)
    labels = np.asarray(label.dataobj).T
    picture = draw_study(np.asarray(scan.dataobj).T, grid, labels, {5: "liver", 1: "spleen"}, planes=planes, size=300)
    body = picture.crop((0, 0, picture.width, picture.height - 26))
    assert _colour_columns(body, "liver").mean() < picture.width / 2 < _colour_columns(body, "spleen").min()
