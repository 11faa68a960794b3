"""DICOM series: any geometry comes back with every sample at its place, and as SimpleITK sees it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian
from study_files import MR_STORAGE, dicom_slice, grids, numbered, same_samples, save, save_series, series_datasets

from radfoundry.errors import GeometryError, UnreadableError
from radfoundry.geometry import Grid, Orientation
from radfoundry.studies import ImageSource, ReadImage, discover, read_image


def read_folder(folder: Path) -> ReadImage:
    (study,) = discover(folder).studies
    (image,) = study.images
    return read_image(image)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(grids(right_handed=True), st.randoms())
def test_any_orientation_anisotropy_and_obliqueness_round_trips(grid: Grid, random: object) -> None:
    order = list(range(grid.shape[0]))
    random.shuffle(order)  # type: ignore[attr-defined]
    array = numbered(grid)
    with tempfile.TemporaryDirectory() as folder:
        save_series(Path(folder), array, grid, order=order)
        read = read_folder(Path(folder))
    assert Orientation.of(read.grid) == Orientation((0, 1, 2), (False, False, False))
    assert same_samples(read.pixels, read.grid, array, grid)
    assert np.array_equal(read.orientation.invert(read.pixels), array)
    assert read.source_grid.matches(grid, 1e-3)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(grids(right_handed=True))
def test_simpleitk_puts_every_sample_at_the_same_place(grid: Grid) -> None:
    array = numbered(grid)
    with tempfile.TemporaryDirectory() as folder:
        names = save_series(Path(folder), array, grid)
        read = read_folder(Path(folder))
        image = sitk.ReadImage([str(Path(folder) / name) for name in names])
        other = sitk.GetArrayFromImage(image)
    theirs = Grid(other.shape, image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection())
    assert same_samples(read.pixels, read.grid, other.astype(np.int16), theirs, tolerance_mm=0.01)


def axial_grid(count: int = 4) -> Grid:
    return Grid.axial((count, 5, 7), (2.0, 0.5, 0.75), (-10.0, -20.0, 30.0))


def test_ct_is_hu_in_int16_and_the_rescale_does_not_wrap(tmp_path: Path) -> None:
    stored = np.full((4, 5, 7), 24, np.uint16)
    stored[0, 0, 0] = 65000
    save_series(tmp_path, stored, axial_grid(), RescaleIntercept=-1024)
    read = read_folder(tmp_path)
    assert (read.modality, read.unit, read.view, read.pixels.dtype) == ("CT", "HU", "volume", np.int16)
    assert read.pixels[1, 1, 1] == -1000
    assert read.pixels.max() == 32767


def test_padding_is_clamped_with_a_note(tmp_path: Path) -> None:
    stored = np.full((4, 5, 7), 1024, np.int16)
    stored[0] = -2000
    save_series(tmp_path, stored, axial_grid(), RescaleIntercept=-1024)
    read = read_folder(tmp_path)
    assert read.pixels.min() == -1024
    assert read.notes == ("padding: 25.00% of the samples lay below -1024 HU (down to -3024) and were set to -1024",)


def test_a_fractional_slope_of_another_modality_gives_float32(tmp_path: Path) -> None:
    stored = np.arange(4 * 5 * 7, dtype=np.uint16).reshape(4, 5, 7)
    save_series(tmp_path, stored, axial_grid(), Modality="PT", Units="GML", RescaleSlope="4.9e-05")
    read = read_folder(tmp_path)
    assert read.unit == "SUV"
    assert read.pixels.dtype == np.float32
    assert np.allclose(read.pixels, stored * 4.9e-05)


def test_pet_that_is_not_suv_says_so(tmp_path: Path) -> None:
    save_series(tmp_path, np.ones((4, 5, 7), np.int16), axial_grid(), Modality="PT", Units="BQML")
    read = read_folder(tmp_path)
    assert read.unit == ""
    assert read.notes[0].startswith("no-suv")


def test_unsigned_sixteen_bits_of_mr_do_not_become_negative(tmp_path: Path) -> None:
    stored = np.full((4, 5, 7), 60000, np.uint16)
    save_series(tmp_path, stored, axial_grid(), Modality="MR", SOPClassUID=MR_STORAGE)
    read = read_folder(tmp_path)
    assert read.pixels.dtype == np.float32
    assert read.pixels.min() == 60000


def test_a_missing_rescale_of_ct_is_told(tmp_path: Path) -> None:
    save_series(tmp_path, np.ones((4, 5, 7), np.int16), axial_grid(), RescaleSlope=None, RescaleIntercept=None)
    assert any(note.startswith("no-rescale") for note in read_folder(tmp_path).notes)


def test_two_mixed_series_in_one_folder_are_two_images_of_one_study(tmp_path: Path) -> None:
    a = series_datasets(numbered(axial_grid(4)), axial_grid(4))
    b = series_datasets(numbered(axial_grid(6)), axial_grid(6), SeriesInstanceUID="1.2.3.9")
    for i, dataset in enumerate(x for pair in zip(b, [*a, None, None], strict=True) for x in pair if x is not None):
        save(dataset, tmp_path / f"IM{i:04d}")
    (study,) = discover(tmp_path).studies
    assert sorted(read_image(image).pixels.shape[0] for image in study.images) == [4, 6]


def test_a_series_spread_over_folders_side_by_side_is_one(tmp_path: Path) -> None:
    for i, dataset in enumerate(series_datasets(numbered(axial_grid(6)), axial_grid(6))):
        save(dataset, tmp_path / ("A" if i < 3 else "B") / f"{i}")
    assert read_folder(tmp_path).pixels.shape == (6, 5, 7)


def test_two_acquisitions_in_one_series_are_two_volumes(tmp_path: Path) -> None:
    for phase in (1, 2):
        for i, d in enumerate(
            series_datasets(numbered(axial_grid()) + 100 * phase, axial_grid(), AcquisitionNumber=phase)
        ):
            save(d, tmp_path / f"{phase}-{i}.dcm")
    (study,) = discover(tmp_path).studies
    assert sorted(int(read_image(image).pixels.min()) for image in study.images) == [100, 200]


def test_three_planes_in_one_series_are_three_volumes(tmp_path: Path) -> None:
    for i, direction in enumerate((np.eye(3), np.eye(3)[[1, 2, 0]], np.eye(3)[[2, 0, 1]])):
        grid = Grid((3, 5, 5), (4.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(direction.ravel()))
        for k, d in enumerate(series_datasets(numbered(grid), grid)):
            save(d, tmp_path / f"{i}{k}.dcm")
    (study,) = discover(tmp_path).studies
    assert len(study.images) == 3


def test_the_second_copy_of_an_instance_is_named_and_left_out(tmp_path: Path) -> None:
    datasets = series_datasets(numbered(axial_grid()), axial_grid())
    for i, d in enumerate([*datasets, datasets[1]]):
        save(d, tmp_path / f"{i}.dcm")
    found = discover(tmp_path)
    assert [(p.key, p.code) for p in found.problems] == [("4.dcm", "repeated-instance")]
    assert read_image(found.studies[0].images[0]).pixels.shape == (4, 5, 7)


def test_a_localizer_never_joins_its_series(tmp_path: Path) -> None:
    save_series(tmp_path, numbered(axial_grid()), axial_grid())
    save(
        dicom_slice(np.zeros((5, 7), np.int16), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), tmp_path / "scout.dcm"
    )
    found = discover(tmp_path)
    assert [p.code for p in found.problems] == ["localizer"]
    assert read_image(found.studies[0].images[0]).pixels.shape == (4, 5, 7)


def test_a_slice_cut_short_is_named(tmp_path: Path) -> None:
    names = save_series(tmp_path, numbered(axial_grid()), axial_grid())
    data = (tmp_path / names[2]).read_bytes()
    (tmp_path / names[2]).write_bytes(data[:-10])
    source = discover(tmp_path).studies[0].images[0]
    with pytest.raises(UnreadableError, match=r"002.dcm is cut short\n60 of 70 bytes"):
        read_image(source)


def test_a_series_that_misses_a_slice_is_a_problem_and_the_rest_goes_on(tmp_path: Path) -> None:
    names = save_series(tmp_path / "bad", numbered(axial_grid(6)), axial_grid(6))
    (tmp_path / "bad" / names[3]).unlink()
    save_series(tmp_path / "good", numbered(axial_grid()), axial_grid(), SeriesInstanceUID="9.9", StudyInstanceUID="9")
    found = discover(tmp_path)
    assert [(p.key, p.code, p.error_class) for p in found.problems] == [("bad", "missing-slices", "GeometryError")]
    assert [study.key for study in found.studies] == ["9"]


def test_implicit_and_big_endian_slices_read_as_explicit_ones(tmp_path: Path) -> None:
    array = numbered(axial_grid())
    for syntax in (ImplicitVRLittleEndian,):
        for i, d in enumerate(series_datasets(array, axial_grid())):
            d.file_meta.TransferSyntaxUID = syntax
            save(d, tmp_path / f"{i}.dcm")
        assert np.array_equal(read_folder(tmp_path).pixels, array)


def test_what_was_found_of_the_patient_is_on_the_study(tmp_path: Path) -> None:
    save_series(
        tmp_path, numbered(axial_grid()), axial_grid(), PatientSex="F", PatientAge="061Y", BodyPartExamined="CHEST"
    )
    (study,) = discover(tmp_path).studies
    assert (study.key, study.patient_key, study.sex, study.age, study.body_part) == (
        "1.2.3",
        "P1",
        "F",
        "061Y",
        "chest",
    )


def test_a_source_survives_the_way_to_another_process(tmp_path: Path) -> None:
    import pickle

    save_series(tmp_path, numbered(axial_grid()), axial_grid())
    (study,) = discover(tmp_path).studies
    assert pickle.loads(pickle.dumps(study)) == study  # noqa: S301


def test_slices_without_a_place_are_pictures(tmp_path: Path) -> None:
    for i in range(3):
        save(dicom_slice(np.full((5, 7), i, np.int16), Modality="NM"), tmp_path / f"{i}.dcm")
    (study,) = discover(tmp_path).studies
    assert [read_image(image).pixels.ndim for image in study.images] == [2, 2, 2]


def test_a_source_whose_slices_make_no_volume_is_refused_when_read(tmp_path: Path) -> None:
    names = save_series(tmp_path, numbered(axial_grid(6)), axial_grid(6))
    with pytest.raises(GeometryError, match="misses slices"):
        read_image(ImageSource(tmp_path, "dicom-series", names[:2] + names[3:]))
