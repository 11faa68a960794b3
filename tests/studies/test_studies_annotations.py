"""SEG, RTSTRUCT and SR against their READMEs, their NRRD twins and highdicom."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from radfoundry.errors import GeometryError, MismatchError, RadfoundryError, UsageError
from radfoundry.studies import (
    ImageSource,
    StudySource,
    discover,
    place_labels,
    read_image,
    read_label_layers,
    read_labels,
    read_report,
)
from radfoundry.studies.limits import Limits
from radfoundry.studies.structured_report import report_text


@pytest.fixture(scope="module")
def seg(shared_data: Path) -> Path:
    return shared_data / "dicom_seg_sr"


@cache
def sarcoma(root: Path, patient: str) -> StudySource:
    (study,) = discover(root / f"{patient}_dicom.zip").studies
    return study


def counts(path: Path) -> dict[int, int]:
    out: dict[int, int] = {}
    for layer in read_label_layers(ImageSource(path, "dicom-seg")):
        values, numbers = np.unique(layer.array[layer.array > 0], return_counts=True)
        out.update(zip(values.tolist(), numbers.tolist(), strict=True))
    return out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dcmqi_liver/liver.dcm", {1: 107098}),
        ("dcmqi_liver/partial_overlaps.dcm", {1: 9602, 2: 11888, 3: 10743, 4: 6693, 5: 4713}),
        ("dcmqi_liver/sparse-labelmap-noppv.dcm", {1: 630}),
        ("dcmqi_liver/sparse-labelmap-ppv5.dcm", {1: 630}),
        ("dcmqi_liver/seg.dcm", {1: 795}),
        ("dcmqi_small/23x38x3/seg/label.seg", {1: 322}),
        ("dcmqi_small/24x38x3/seg/label.seg", {1: 315}),
        ("highdicom/seg_image_ct_binary_single_frame.dcm", {1: 1832}),
        ("highdicom/seg_image_ct_binary.dcm", {1: 638}),
        ("highdicom/seg_image_ct_binary_fractional.dcm", {1: 638}),
        ("highdicom/seg_image_ct_true_fractional.dcm", {1: 638}),
        ("highdicom/seg_image_ct_binary_overlap.dcm", {1: 64, 2: 16}),
        ("pydicom/liver_j2k.dcm", {1: 107098}),
        ("pydicom/liver_nonbyte_aligned.dcm", {1: 107098}),
    ],
)
def test_segments_have_the_voxels_of_the_readme(seg: Path, name: str, expected: dict[int, int]) -> None:
    assert counts(seg / name) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [("liver_rle", "RLE Lossless stream is invalid"), ("liver_deflate", "nothing here decodes it")],
)
def test_encodings_that_cannot_be_decoded_are_reported_cleanly(seg: Path, name: str, words: str) -> None:
    with pytest.raises(RadfoundryError, match=words):
        read_labels(ImageSource(seg / "pydicom" / f"{name}.dcm", "dicom-seg"))


def test_a_seg_with_one_frame_and_three_descriptions_keeps_the_one(seg: Path) -> None:
    labels = read_labels(ImageSource(seg / "pydicom" / "liver_1frame.dcm", "dicom-seg"))
    assert labels.array.shape == (1, 512, 512)
    assert labels.array.any()


def test_overlapping_segments_need_layers(seg: Path) -> None:
    source = ImageSource(seg / "dcmqi_liver" / "partial_overlaps.dcm", "dicom-seg")
    with pytest.raises(MismatchError, match="overlap"):
        read_labels(source)
    layers = read_label_layers(source)
    assert [sorted(layer.names) for layer in layers] == [[1, 4, 5], [2], [3]]
    for number, layer in enumerate(layers, start=1):
        twin = read_labels(ImageSource(seg / "dcmqi_liver" / f"partial_overlaps-{number}.nrrd", "nrrd"))
        assert np.array_equal(layer.array, twin.array)
        assert layer.grid.matches(twin.grid, 1e-2)


def test_the_liver_is_the_nrrds_liver_and_70_millilitres(seg: Path) -> None:
    ours = read_labels(ImageSource(seg / "dcmqi_liver" / "liver.dcm", "dicom-seg"))
    twin = read_labels(ImageSource(seg / "dcmqi_liver" / "liver_seg.nrrd", "nrrd"))
    assert np.array_equal(ours.array, twin.array)
    assert ours.names == {1: "Liver"}
    assert np.isclose(ours.array.sum() * ours.grid.voxel_mm3 / 1000, 70.36, rtol=1e-3)


def test_a_seg_lands_on_its_image(seg: Path) -> None:
    found = discover(seg / "dcmqi_liver")
    (study,) = [s for s in found.studies if s.masks]
    image = read_image(study.images[0])
    for mask in study.masks:
        for layer in read_label_layers(mask.source, image=image.grid):
            placed = place_labels(layer, image.grid)
            assert placed.outside == 0
            assert placed.array.shape == image.pixels.shape
    assert sorted(m.source.path.name for m in study.masks) == ["liver.dcm", "partial_overlaps.dcm"]
    assert "dangling-mask" in {p.code for p in found.problems}


def test_a_sparse_label_map_is_filled_up_and_fits_its_three_slices(seg: Path) -> None:
    image = read_image(discover(seg / "dcmqi_small" / "24x38x3" / "image").studies[0].images[0])
    labels = read_labels(ImageSource(seg / "dcmqi_liver" / "sparse-labelmap-noppv.dcm", "dicom-seg"))
    assert place_labels(labels, image.grid).array.sum() == 630


@pytest.mark.parametrize("size", ["23x38x3", "24x38x3"])
def test_single_frames_and_one_multi_frame_are_one_ct(seg: Path, size: str) -> None:
    folder = seg / "dcmqi_small" / size
    one = read_image(discover(folder / "image").studies[0].images[0])
    many = read_image(ImageSource(folder / "multiframe" / "mf.dcm", "dicom-object"))
    assert np.array_equal(one.pixels, many.pixels)
    assert one.grid.matches(many.grid, 1e-2)


@pytest.mark.parametrize(
    "name", ["seg_image_ct_binary", "seg_image_ct_binary_overlap", "seg_image_ct_binary_single_frame"]
)
def test_highdicom_sees_the_same_segments_at_the_same_places(seg: Path, name: str) -> None:
    path = seg / "highdicom" / f"{name}.dcm"
    theirs = hd.seg.segread(path).get_volume(rescale_fractional=False)
    for layer in read_label_layers(ImageSource(path, "dicom-seg")):
        for value in layer.names:
            channel = theirs.array[..., value - 1] if theirs.array.ndim == 4 else theirs.array
            index = np.argwhere(channel > 0)
            world = np.sort(np.round(theirs.map_indices_to_reference(index), 2), axis=0)
            ours = np.sort(np.round(layer.grid.to_world(np.argwhere(layer.array == value)), 2), axis=0)
            assert np.allclose(world, ours, atol=0.011)


def test_a_tiled_slide_is_refused_as_such(seg: Path) -> None:
    with pytest.raises(GeometryError, match="slide microscopy"):
        read_labels(ImageSource(seg / "highdicom" / "seg_image_sm_dots.dcm", "dicom-seg"))


def test_a_seg_of_a_radiograph_is_a_picture(seg: Path) -> None:
    labels = read_labels(ImageSource(seg / "highdicom" / "seg_image_cr_binary.dcm", "dicom-seg"))
    assert labels.array.shape == (16, 16)


@pytest.mark.parametrize(
    ("patient", "volumes"),
    [
        ("STS_019", {"PT": (17.172, 8.494), "CT": (17.351, 12.8), "MR": (17.316, 441.8)}),
        ("STS_025", {"PT": (30.237, 2.953), "CT": (30.109, 31.7), "MR": (30.109, 412.2)}),
    ],
)
def test_contours_fill_to_the_published_masks(
    shared_data: Path, patient: str, volumes: dict[str, tuple[float, float]]
) -> None:
    root = shared_data / "ct_sarcoma"
    study = sarcoma(root, patient)
    assert len(study.images) == len(study.masks) == 3
    names = {"PT": "PET", "CT": "CT", "MR": "MR_T1"}
    for mask in study.masks:
        image = read_image(study.images[mask.image])
        labels = read_labels(mask.source, image=image.grid)
        millilitres, mean = volumes[image.modality]
        inside = labels.array > 0
        assert np.isclose(inside.sum() * image.grid.voxel_mm3 / 1000, millilitres, rtol=1e-3)
        assert np.isclose(image.pixels[inside].mean(), mean, rtol=1e-2)
        assert labels.names == {1: f"GTV_Mass_{names[image.modality]}"}
        twin = root / f"{patient}_nifti" / f"{names[image.modality]}_mask.nii.gz"
        published = read_labels(ImageSource(twin, "nifti"))
        assert np.array_equal(place_labels(published, image.grid).array > 0, inside)


def test_contours_need_the_grid_of_their_image(shared_data: Path) -> None:
    study = sarcoma(shared_data / "ct_sarcoma", "STS_025")
    assert study.mask is not None
    with pytest.raises(UsageError, match="give the grid of their image"):
        read_labels(study.mask)


def test_contours_of_another_place_do_not_land_on_an_image(shared_data: Path) -> None:
    study, other = (sarcoma(shared_data / "ct_sarcoma", patient) for patient in ("STS_025", "STS_019"))
    assert study.mask is not None
    with pytest.raises(MismatchError, match="lies off its image"):
        read_labels(study.mask, image=read_image(other.images[0]).grid)


def test_structured_reports_read_as_text(seg: Path) -> None:
    assert "Neoplasm" in read_report(seg / "dcmqi_liver" / "sr.dcm", Limits())
    free = read_report(seg / "pydicom" / "reportsi.dcm", Limits())
    assert free.splitlines()[-1] == "Report Text: Enter text"
    assert read_report(seg / "pydicom" / "test-SR.dcm", Limits())


def test_a_report_names_no_person(seg: Path) -> None:
    text = report_text(io.BytesIO((seg / "pydicom" / "reportsi.dcm").read_bytes()), "reportsi.dcm")
    assert "^" not in text
