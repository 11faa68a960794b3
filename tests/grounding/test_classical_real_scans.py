"""The built-in segmenter on real scans, against the facts that are known of them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from radfoundry.geometry import Grid, canonicalise
from radfoundry.grounding.classical import segment_ct

LEFT, RIGHT, AIRWAY = 2, 3, 4


def dicom_zip(path: Path, most: int = 1000) -> tuple[np.ndarray, Grid]:
    """Read the middle slices of a zipped series, at most so many."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        slices = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in names]
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    first = max(0, (len(slices) - most) // 2)
    slices = slices[first : first + most]
    volume = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]).astype(
        np.int16
    )
    step = float(slices[1].ImagePositionPatient[2]) - float(slices[0].ImagePositionPatient[2])
    spacing = (step, *map(float, slices[0].PixelSpacing))
    return volume, Grid.axial(volume.shape, spacing, tuple(map(float, slices[0].ImagePositionPatient)))


def nifti(path: Path) -> tuple[np.ndarray, Grid]:
    image = nibabel.load(path)
    array = np.asarray(image.dataobj).T
    grid = Grid.from_affine(array.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
    return canonicalise(array, grid)[:2]


def ml(labels: np.ndarray, value: int, grid: Grid) -> float:
    return np.count_nonzero(labels == value) * grid.voxel_mm3 / 1000


@pytest.mark.slow
def test_a_whole_chest_has_the_known_lungs(shared_data: Path) -> None:
    """Known by threshold and watershed: right 2,730 mL, left 3,010 mL (5 %), airway 70 mL (10 %), their ends in z."""
    volume, grid = dicom_zip(shared_data / "ct_chest" / "LIDC-IDRI-0003_full.zip")
    labels = segment_ct(volume, grid).labels
    air = volume < -400
    assert ml(labels * air, RIGHT, grid) == pytest.approx(2730, rel=0.05)
    assert ml(labels * air, LEFT, grid) == pytest.approx(3010, rel=0.05)
    # with vessels and hilum filled they are several per cent larger
    assert 1.0 < ml(labels, RIGHT, grid) / 2730 < 1.06
    assert 1.0 < ml(labels, LEFT, grid) / 3010 < 1.06
    assert ml(labels, AIRWAY, grid) == pytest.approx(70, rel=0.10)
    for value, centroid, ends in (
        (RIGHT, (-99.2, 33.8, -220.9), (-361.5, -76.5)),
        (LEFT, (63.4, 30.9, -219.9), (-354.0, -76.5)),
    ):
        where = grid.to_world(np.argwhere(labels == value))
        assert np.allclose(where.mean(axis=0), centroid, atol=3)
        assert np.allclose((where[:, 2].min(), where[:, 2].max()), ends, atol=2.6)


@pytest.mark.parametrize("patient", ["0001", "0002", "0003"])
def test_a_slab_has_both_lungs_on_their_sides(shared_data: Path, patient: str) -> None:
    volume, grid = dicom_zip(shared_data / "ct_lidc" / f"LIDC-IDRI-{patient}.zip", most=6)
    labels = segment_ct(volume, grid).labels
    where = {value: grid.to_world(np.argwhere(labels == value)) for value in (LEFT, RIGHT)}
    assert where[LEFT][:, 0].mean() > where[RIGHT][:, 0].mean() + 80
    assert 0.7 < len(where[LEFT]) / len(where[RIGHT]) < 1.4
    assert volume[np.isin(labels, [LEFT, RIGHT])].mean() < -750


def test_lung_bases_agree_with_another_segmenter(shared_data: Path) -> None:
    """Only the lowest recesses are in this scan, 40 and 70 mL: nearly all of it is edge."""
    folder = shared_data / "ct_totalseg"
    volume, grid = nifti(folder / "example_ct_sm.nii.gz")
    reference, _ = nifti(folder / "example_seg.nii.gz")
    facts = json.loads((folder / "label_facts.json").read_text())["example_ct_sm.nii.gz + example_seg.nii.gz"]
    labels = segment_ct(volume, grid).labels
    for value, side in ((LEFT, "left"), (RIGHT, "right")):
        lobes = np.isin(reference, [fact["label"] for name, fact in facts.items() if "lung" in name and side in name])
        overlap = 2 * np.count_nonzero((labels == value) & lobes) / (np.count_nonzero(labels == value) + lobes.sum())
        assert overlap > 0.95


def test_gas_and_contrast_of_a_belly_are_neither_lung_nor_bone(shared_data: Path) -> None:
    volume, grid = dicom_zip(shared_data / "ct_totalseg" / "example_ct_dicom.zip", most=6)
    labels = segment_ct(volume, grid).labels
    assert not np.isin(labels, [LEFT, RIGHT, AIRWAY]).any()
    assert 40 < ml(labels, 5, grid) < 110
