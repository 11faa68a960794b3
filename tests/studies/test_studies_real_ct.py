"""The chest, the sarcomas and the organ labels against the facts in their READMEs, and SimpleITK by an independent route."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from radfoundry.studies import ImageSource, ReadImage, discover, place_labels, read_image, read_labels


@pytest.fixture(scope="module")
def chest(shared_data: Path) -> ReadImage:
    (study,) = discover(shared_data / "ct_chest" / "LIDC-IDRI-0003_full.zip").studies
    return read_image(study.images[0])


def test_the_chest_has_its_shape_place_and_padding(chest: ReadImage) -> None:
    assert chest.pixels.shape == (140, 512, 512)
    assert np.allclose(chest.grid.spacing, (2.5, 0.820312, 0.820312))
    assert np.allclose(chest.grid.origin, (-228.800003, -210.0, -379.0))
    assert np.isclose(chest.grid.to_world((139, 0, 0))[2], -31.5)
    assert (chest.pixels.min(), chest.pixels.max()) == (-1024, 5892)
    assert int((chest.pixels > 3071).sum()) == 5976
    assert chest.notes == ("padding: 21.34% of the samples lay below -1024 HU (down to -2048) and were set to -1024",)
    assert (chest.modality, chest.unit) == ("CT", "HU")


def test_the_lungs_of_the_chest_hold_their_air_on_their_sides(chest: ReadImage) -> None:
    parts, _ = ndimage.label(chest.pixels < -400)
    border = {
        *np.unique(parts[:, 0]),
        *np.unique(parts[:, -1]),
        *np.unique(parts[:, :, 0]),
        *np.unique(parts[:, :, -1]),
    }
    sizes = np.bincount(parts.ravel()) * chest.grid.voxel_mm3 / 1000
    (lungs,) = [p for p in np.flatnonzero(sizes > 300) if p and p not in border]
    inside = parts == lungs
    assert np.isclose(sizes[lungs], 5810, rtol=0.01)
    assert np.isclose(chest.pixels[inside].mean(), -828.8, rtol=0.01)
    x = chest.grid.to_world(np.argwhere(inside)[::50])[:, 0]
    # a coarse split at the midline: right 2,730, left 3,010 and an airway of 70 mL between them
    assert 0.85 < (x < -17).sum() / (x > -17).sum() < 0.97


def test_the_chest_is_what_simpleitk_reads(shared_data: Path, chest: ReadImage, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "ct_chest" / "LIDC-IDRI-0003_full.zip") as archive:
        archive.extractall(tmp_path)
    folder = next(p.parent for p in tmp_path.rglob("*.dcm"))
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = sitk.ReadImage(names)
    assert np.array_equal(np.maximum(sitk.GetArrayFromImage(image), -1024), chest.pixels)
    assert np.allclose(image.GetOrigin(), chest.grid.origin)
    assert np.allclose(image.GetSpacing(), chest.grid.spacing[::-1])
    # a folder reads as the archive does
    assert np.array_equal(read_image(discover(folder).studies[0].images[0]).pixels, chest.pixels)


def pair(root: Path, name: str) -> tuple[ReadImage, np.ndarray]:
    image_name, label_name = name.split(" + ")
    path = root / image_name if (root / image_name).exists() else root / "example_ct_dicom.zip"
    image = read_image(discover(path).studies[0].images[0])
    return image, place_labels(read_labels(ImageSource(root / label_name, "nifti")), image.grid).array


def test_every_label_of_every_pair_has_its_volume_mean_and_place(shared_data: Path) -> None:
    root = shared_data / "ct_totalseg"
    facts = json.loads((root / "label_facts.json").read_text())
    assert len(facts) == 5
    for name, labels in facts.items():
        image, array = pair(root, name)
        for fact in labels.values():
            inside = array == fact["label"]
            assert inside.sum() == fact["voxels"], name
            assert np.isclose(inside.sum() * image.grid.voxel_mm3 / 1000, fact["ml"], rtol=0.01, atol=0.02)
            assert np.isclose(image.pixels[inside].mean(), fact["mean_intensity"], rtol=0.01, atol=1.5)
            lps = image.grid.to_world(np.argwhere(inside).mean(axis=0)) * (-1, -1, 1)
            assert np.allclose(lps, fact["centroid_ras_mm"], atol=0.1)


def test_labels_with_flipped_rows_land_where_they_belong(shared_data: Path) -> None:
    image, array = pair(shared_data / "ct_totalseg", "example_ct_dicom + example_seg_dicom.nii.gz")
    assert (array > 0).sum() == 739_420
    assert np.isclose(image.pixels[array == 5].mean(), 89.3, atol=0.5)


def test_the_small_ct_is_the_top_of_the_whole_one(shared_data: Path) -> None:
    root = shared_data / "ct_totalseg"
    whole, small = (read_image(ImageSource(root / f"example_{n}.nii.gz", "nifti")) for n in ("ct", "ct_sm"))
    assert np.array_equal(whole.pixels[82:112], small.pixels)


@pytest.mark.parametrize("patient", ["STS_019", "STS_025"])
def test_dicom_and_nifti_of_the_sarcomas_are_one(shared_data: Path, patient: str) -> None:
    root = shared_data / "ct_sarcoma"
    (study,) = discover(root / f"{patient}_dicom.zip").studies
    names = {"PT": "PET", "CT": "CT", "MR": "MR_T1"}
    for source in study.images:
        image = read_image(source)
        twin = read_image(ImageSource(root / f"{patient}_nifti" / f"{names[image.modality]}_image.nii.gz", "nifti"))
        assert image.grid.matches(twin.grid, 1e-2)
        assert np.abs(image.pixels.astype(float) - twin.pixels).max() < (1e-5 if image.modality == "PT" else 0.5)
        assert twin.modality == image.modality
    assert {read_image(s).unit for s in study.images} == {"HU", "SUV", ""}
