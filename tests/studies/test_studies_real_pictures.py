"""Chest films and pictures with masks: sizes, sides and sums as their READMEs give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radfoundry.studies import ImageSource, discover, place_labels, read_image, read_labels

PROMPTED = {
    "xray_chest/mask_lung.png": 388_640,
    "xray_chest/mask_left_lung.png": 180_576,
    "xray_chest/mask_right_lung.png": 208_064,
    "xray_chest/mask_COVID-19_infection.png": 388_640,
    "xray_chest_small/mask_lungs_1.png": 74_013,
    "mri_flair_brain/mask_lower-grade_glioma.png": 98_080,
    "pet_sarcoma_slice/mask_GTV.png": 62,
    "ultrasound_breast/mask_tumor.png": 90_559,
    "ultrasound_heart/mask_left_heart_ventricle.png": 105_432,
    "ultrasound_heart/mask_left_heart_atrium.png": 48_178,
    "fundus_retina/mask_optic_disc.png": 12_876,
    "fundus_retina/mask_optic_cup.png": 4_452,
    "endoscopy_polyp/mask_polyp.jpg": 93_043,
    "histopathology_breast/mask_neoplastic_cells.png": 186_992,
    "histopathology_breast/mask_inflammatory_cells.png": 6_784,
}


@pytest.mark.parametrize("name", PROMPTED)
def test_masks_have_the_pixels_of_the_readme(shared_data: Path, name: str) -> None:
    mask = read_labels(ImageSource(shared_data / "prompted_masks_2d" / name, "raster"))
    assert (mask.array > 0).sum() == PROMPTED[name]
    assert len(mask.names) == 1


def test_the_left_lung_of_a_film_is_on_the_right_of_the_picture(shared_data: Path) -> None:
    mask = read_labels(ImageSource(shared_data / "prompted_masks_2d" / "xray_chest" / "mask_left_lung.png", "raster"))
    y, x = np.argwhere(mask.array).mean(axis=0)
    assert (round(x), round(y)) == (743, 452)


def test_every_mask_in_a_folder_belongs_to_its_one_image_and_fits(shared_data: Path) -> None:
    found = discover(shared_data / "prompted_masks_2d")
    assert len(found.studies) == 13
    assert {p.key for p in found.problems} == {"xray_chest_small/mask_lungs_1.png", "xray_chest_small/mask_lungs_2.png"}
    for study in found.studies:
        image = read_image(study.images[0])
        for mask in study.masks:
            assert place_labels(read_labels(mask.source), image.grid).array.shape == image.pixels.shape


def test_instances_are_labels_of_their_own(shared_data: Path) -> None:
    mask = read_labels(
        ImageSource(shared_data / "prompted_masks_2d" / "microscopy_nuclei" / "mask_instances.tif", "raster")
    )
    assert sorted(np.unique(mask.array)) == list(range(66))


def test_sixteen_bit_pet_keeps_its_scale(shared_data: Path) -> None:
    image = read_image(discover(shared_data / "prompted_masks_2d" / "pet_sarcoma_slice").studies[0].images[0])
    assert image.pixels.shape == (34, 37)
    # 65535 stands for 10 SUV, and the slice reaches 6.4
    assert 6.0 < image.pixels.max() / 6553.5 < 6.6


def test_all_chest_films_of_the_nih_read_in_one_channel(shared_data: Path) -> None:
    found = discover(shared_data / "cxr_nih")
    images = [read_image(study.images[0]) for study in found.studies]
    assert sorted(i.pixels.shape for i in images) == [(512, 512)] * 2 + [(1024, 1024)] * 11
    assert {i.pixels.ndim for i in images} == {2}
    assert {i.modality for i in images} == {"XR"}


def test_open_i_films_read_with_grey_stored_as_colour(shared_data: Path) -> None:
    found = discover(shared_data / "openi_images")
    images = {study.key: read_image(study.images[0]) for study in found.studies}
    assert len(images) == 10
    assert images["CXR1000_IM-0003-3001.png"].pixels.shape == (2496, 2048)
    assert images["CXR54_IM-2145-1001.png"].pixels.shape == (362, 512)
    assert not any(note.startswith("colour") for image in images.values() for note in image.notes)


def test_films_with_notes_find_their_twelve_lung_masks(shared_data: Path) -> None:
    found = discover(shared_data / "cxr_notes")
    assert len(found.studies) == 28
    masked = [study for study in found.studies if study.mask]
    assert len(masked) == 12
    for study in masked:
        image = read_image(study.images[0])
        assert study.mask is not None
        assert read_labels(study.mask).array.shape == image.pixels.shape
