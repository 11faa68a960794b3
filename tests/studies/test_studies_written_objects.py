"""Enhanced objects, SEG and RTSTRUCT written here on any grid, by us and by highdicom, come back with every sample at its place."""

from __future__ import annotations

import tempfile
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from highdicom.sr.coding import Code
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from study_files import ORIENTATIONS, dicom_slice, grids, numbered, rotation, same_samples, save, series_datasets

from radfoundry.errors import GeometryError
from radfoundry.geometry import Grid
from radfoundry.studies import ImageSource, discover, place_labels, read_image, read_labels

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


def item(**elements: object) -> Dataset:
    d = Dataset()
    for key, value in elements.items():
        setattr(d, key, value)
    return d


def enhanced(array: np.ndarray, grid: Grid, order: list[tuple[int, int]]) -> Dataset:
    """A multi-frame object; frame i is slice order[i][1] of volume order[i][0] of array [volume, z, y, x]."""
    frames = np.stack([array[volume, z] for volume, z in order])
    d = dicom_slice(
        frames,
        SOPClassUID=ENHANCED_MR,
        Modality="MR",
        NumberOfFrames=len(order),
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    direction = grid.direction_matrix
    shared = item(
        PlaneOrientationSequence=Sequence(
            [item(ImageOrientationPatient=[f"{v:.10f}"[:16] for v in direction[:, :2].T.ravel()])]
        ),
        PixelMeasuresSequence=Sequence(
            [item(PixelSpacing=[f"{v:.12f}"[:16] for v in grid.spacing[1:]], SliceThickness="1")]
        ),
    )
    d.SharedFunctionalGroupsSequence = Sequence([shared])
    d.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                PlanePositionSequence=Sequence(
                    [item(ImagePositionPatient=[f"{v:.9f}"[:16] for v in grid.to_world((z, 0, 0))])]
                ),
                MRDiffusionSequence=Sequence([item(DiffusionBValue=1000.0 * volume)]),
            )
            for volume, z in order
        ]
    )
    return d


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(grids(right_handed=True), st.randoms())
def test_frames_of_any_grid_in_any_order_are_their_volumes(grid: Grid, random: object) -> None:
    array = np.stack([numbered(grid), numbered(grid) + 1000])
    order = [(volume, z) for volume in range(2) for z in range(grid.shape[0])]
    random.shuffle(order)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        save(enhanced(array, grid, order), Path(folder) / "e.dcm")
        (study,) = discover(Path(folder)).studies
        images = [read_image(source) for source in study.images]
    assert [source.member for source in study.images] == ["0", "1"]
    for image, volume in zip(images, array, strict=True):
        assert same_samples(image.pixels, image.grid, volume, grid)


def test_a_volume_that_lacks_a_frame_is_named(tmp_path: Path) -> None:
    grid = Grid.axial((3, 4, 5), (2, 1, 1))
    save(enhanced(np.stack([numbered(grid)] * 2), grid, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]), tmp_path / "e.dcm")
    with pytest.raises(GeometryError, match="does not have every slice of every volume"):
        read_image(ImageSource(tmp_path / "e.dcm", "dicom-object"))
    assert [p.code for p in discover(tmp_path).problems] == ["uneven-volumes"]


def ct_for_highdicom(folder: Path, grid: Grid) -> list[Dataset]:
    """A series with the elements that highdicom wants to see."""
    blanks = dict.fromkeys(("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
                            "ReferringPhysicianName"), "")  # fmt: skip
    datasets = series_datasets(numbered(grid), grid, PositionReferenceIndicator="", **blanks)
    for i, d in enumerate(datasets):
        save(d, folder / f"{i}.dcm")
    return datasets


@pytest.mark.parametrize("index", range(0, 48, 5))
def test_a_seg_that_highdicom_writes_lands_on_its_image(tmp_path: Path, index: int) -> None:
    direction = rotation((11.0, -7.0, 20.0)) @ ORIENTATIONS[index]
    if np.linalg.det(direction) < 0:
        direction = direction * np.array([1.0, 1.0, -1.0])
    grid = Grid((5, 8, 16), (3.0, 0.8, 1.2), (10.0, -20.0, 30.0), tuple(direction.ravel()))
    datasets = ct_for_highdicom(tmp_path, grid)
    mask = np.zeros(grid.shape, np.uint8)
    mask[1:4, 2:5, 3:9] = 1
    # the slice in the middle is empty and left out of the object
    mask[2] = 0
    description = hd.seg.SegmentDescription(
        1, "Lesion", Code("49755003", "SCT", "Morphologically Altered Structure"), Code("4147007", "SCT", "Mass"),
        hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )  # fmt: skip
    seg = hd.seg.Segmentation(
        datasets, mask, hd.seg.SegmentationTypeValues.BINARY, [description], "1.2.3.77", 9, "1.2.3.77.1", 1, "us", "none", "1", "1",
    )  # fmt: skip
    save(seg, tmp_path / "seg.dcm")
    (study,) = discover(tmp_path).studies
    image = read_image(study.images[0])
    assert study.mask is not None
    labels = read_labels(study.mask, image=image.grid)
    assert labels.names == {1: "Lesion"}
    placed = place_labels(labels, image.grid)
    assert placed.outside == 0
    assert np.array_equal(image.orientation.invert(placed.array), mask)


@pytest.mark.parametrize("index", range(0, 48, 3))
def test_contours_fill_in_whatever_plane_they_were_drawn(tmp_path: Path, index: int) -> None:
    direction = rotation((11.0, -7.0, 20.0)) @ ORIENTATIONS[index]
    if np.linalg.det(direction) < 0:
        direction = direction * np.array([1.0, 1.0, -1.0])
    grid = Grid((6, 20, 30), (3.0, 0.8, 1.2), (10.0, -20.0, 30.0), tuple(direction.ravel()))
    for i, d in enumerate(series_datasets(numbered(grid), grid)):
        save(d, tmp_path / f"{i}.dcm")
    image = read_image(discover(tmp_path).studies[0].images[0])
    corners = np.array([[4.6, 5.6], [4.6, 14.4], [11.4, 14.4], [11.4, 5.6]])
    contours = [
        item(
            ContourGeometricType="CLOSED_PLANAR",
            NumberOfContourPoints=4,
            ContourData=[f"{v:.8f}"[:16] for y, x in corners for v in grid.to_world((z, y, x))],
        )
        for z in (2, 3)
    ]
    rt = dicom_slice(
        np.zeros((2, 2), np.int16), SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3", Modality="RTSTRUCT", PixelData=None
    )
    rt.StructureSetROISequence = Sequence([item(ROINumber=4, ROIName="GTV ")])
    rt.ROIContourSequence = Sequence([item(ReferencedROINumber=4, ContourSequence=Sequence(contours))])
    save(rt, tmp_path / "rt.dcm")
    labels = read_labels(ImageSource(tmp_path / "rt.dcm", "dicom-rtstruct"), image=image.grid)
    expected = np.zeros(grid.shape, np.uint8)
    expected[2:4, 5:12, 6:15] = 1
    assert labels.names == {1: "GTV"}
    assert np.array_equal(image.orientation.invert(labels.array), expected)
