"""NIfTI both ways: every orientation, straight and oblique, as nibabel and SimpleITK see it; damage and bombs are refused."""

from __future__ import annotations

import gzip
import struct
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from study_files import grids, numbered, same_samples

from radfoundry.errors import GeometryError, LimitError, UnreadableError, UsageError
from radfoundry.geometry import Grid, Orientation
from radfoundry.studies import ImageSource, Limits, ReadImage, discover, read_image, read_labels, write_labelmap
from radfoundry.studies.nifti import nifti_bytes

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read(path: Path, limits: Limits | None = None) -> ReadImage:
    return read_image(ImageSource(path, "nifti"), limits)


def save_with_nibabel(path: Path, array: np.ndarray, grid: Grid) -> Path:
    """Array [z, y, x] on an LPS grid, written the way others write it."""
    image = nib.Nifti1Image(array.transpose(2, 1, 0), RAS_TO_LPS @ grid.affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(grids())
def test_what_nibabel_writes_reads_with_every_sample_at_its_place(grid: Grid) -> None:
    array = numbered(grid)
    with tempfile.TemporaryDirectory() as folder:
        image = read(save_with_nibabel(Path(folder) / "v.nii.gz", array, grid))
    assert Orientation.of(image.grid) == Orientation((0, 1, 2), (False, False, False))
    assert same_samples(image.pixels, image.grid, array, grid)
    assert np.array_equal(image.orientation.invert(image.pixels), array)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(grids())
def test_label_maps_come_back_exactly(grid: Grid) -> None:
    array = numbered(grid, "uint16")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.nii.gz"
        write_labelmap(path, array, grid)
        back = read_labels(ImageSource(path, "nifti"))
    assert same_samples(back.array, back.grid, array, grid)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(grids())
def test_nibabel_and_simpleitk_agree_on_what_we_write(grid: Grid) -> None:
    array = numbered(grid, "uint16")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.nii.gz"
        write_labelmap(path, array, grid)
        theirs = nib.load(path)
        affine = RAS_TO_LPS @ theirs.affine
        assert same_samples(
            np.asarray(theirs.dataobj).transpose(2, 1, 0), Grid.from_affine(grid.shape, affine), array, grid
        )
        image = sitk.ReadImage(str(path))
        itk_grid = Grid(grid.shape, image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection())
        assert same_samples(sitk.GetArrayFromImage(image), itk_grid, array, grid, tolerance_mm=5e-3)


def test_a_picture_comes_back_exactly(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for grid in (Grid.picture((3, 4), (0.5, 0.25)), Grid.picture((3, 4))):
        write_labelmap(tmp_path / "p.nii.gz", array, grid)
        back = read_labels(ImageSource(tmp_path / "p.nii.gz", "nifti"))
        assert np.array_equal(back.array, array)
        assert back.grid == grid


def test_equal_label_maps_are_equal_bytes_and_hold_no_time(tmp_path: Path) -> None:
    grid = Grid.axial((3, 4, 5), (1, 1, 1))
    array = np.ones(grid.shape, np.uint8)
    first = write_labelmap(tmp_path / "a.nii.gz", array, grid)
    assert first == write_labelmap(None, array, grid) == (tmp_path / "a.nii.gz").read_bytes()
    assert first[4:8] == b"\0\0\0\0"
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_a_label_map_holds_unsigned_integers() -> None:
    with pytest.raises(UsageError, match="unsigned integers"):
        write_labelmap(None, np.zeros((2, 2, 2), np.float32), Grid.axial((2, 2, 2), (1, 1, 1)))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_sample_types_and_byte_orders_read(tmp_path: Path, dtype: str) -> None:
    grid = Grid.axial((3, 4, 5), (1, 2, 3))
    for order in "<>":
        header = nib.Nifti1Header(endianness=order)
        header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
        image = nib.Nifti1Image(numbered(grid, dtype).transpose(2, 1, 0), RAS_TO_LPS @ grid.affine, header)
        image.set_data_dtype(np.dtype(dtype).newbyteorder(order))
        nib.save(image, tmp_path / "v.nii")
        assert np.array_equal(read(tmp_path / "v.nii").pixels, numbered(grid)[:, ::-1, ::-1][:, ::-1, ::-1])


def test_nifti2_reads(tmp_path: Path) -> None:
    grid = Grid.axial((3, 4, 5), (1, 2, 3))
    nib.save(nib.Nifti2Image(numbered(grid).transpose(2, 1, 0), RAS_TO_LPS @ grid.affine), tmp_path / "v.nii.gz")
    assert np.array_equal(read(tmp_path / "v.nii.gz").pixels, numbered(grid))


def test_header_slope_is_applied(tmp_path: Path) -> None:
    grid = Grid.axial((3, 4, 5), (1, 2, 3))
    image = nib.Nifti1Image(numbered(grid).transpose(2, 1, 0), RAS_TO_LPS @ grid.affine)
    nib.save(image, tmp_path / "v.nii")
    raw = bytearray((tmp_path / "v.nii").read_bytes())
    raw[112:120] = struct.pack("<2f", 0.5, 10)
    (tmp_path / "v.nii").write_bytes(raw)
    assert np.allclose(read(tmp_path / "v.nii").pixels, numbered(grid) * 0.5 + 10)


def test_a_trailing_axis_of_one_is_no_fourth_dimension(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((5, 4, 3, 1), np.int16), np.diag([2, 2, 2, 1])), tmp_path / "v.nii")
    assert read(tmp_path / "v.nii").pixels.shape == (3, 4, 5)


def test_the_volumes_of_a_4d_file_are_images_of_their_own(tmp_path: Path) -> None:
    array = np.arange(5 * 4 * 3 * 2, dtype=np.int16).reshape(5, 4, 3, 2)
    nib.save(nib.Nifti1Image(array, np.diag([-2.0, -2, 2, 1])), tmp_path / "v.nii.gz")
    (study,) = discover(tmp_path).studies
    assert [image.member for image in study.images] == ["0", "1"]
    assert np.array_equal(read_image(study.images[1]).pixels, array[..., 1].T)
    with pytest.raises(GeometryError, match="holds 2 volumes"):
        read(tmp_path / "v.nii.gz")


def test_ct_is_known_by_its_values_or_by_its_name(tmp_path: Path) -> None:
    hu = np.full((6, 6, 6), 40, np.float32)
    hu[:, :3] = -1000.4
    hu[0, 0, 0] = -3000
    for name in ("scan.nii.gz", "ct.nii.gz"):
        nib.save(nib.Nifti1Image(hu, np.diag([-2.0, -2, 2, 1])), tmp_path / name)
        image = read(tmp_path / name)
        assert (image.modality, image.unit, image.pixels.dtype, image.pixels.min()) == ("CT", "HU", np.int16, -1024)
        assert image.notes[0].startswith("guessed-modality")
        assert image.notes[1].startswith("padding")


def test_what_is_called_ct_may_be_cut_to_soft_tissue(tmp_path: Path) -> None:
    soft = np.linspace(-120, 200, 216, dtype=np.float32).reshape(6, 6, 6)
    nib.save(nib.Nifti1Image(soft, np.diag([-2.0, -2, 2, 1])), tmp_path / "ct.nii")
    image = read(tmp_path / "ct.nii")
    assert (image.unit, image.pixels.dtype, image.pixels.min()) == ("HU", np.int16, -120)


def test_ct_without_hu_keeps_its_values_and_says_so(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.full((6, 6, 6), 0.5, np.float32), np.diag([-2.0, -2, 2, 1])), tmp_path / "ct.nii")
    image = read(tmp_path / "ct.nii")
    assert (image.modality, image.unit) == ("CT", "")
    assert image.notes[0].startswith("lost-hu")


def test_an_identity_affine_is_noted_rg_t30(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((6, 6, 6), np.int16), np.eye(4)), tmp_path / "v.nii")
    assert any(note.startswith("identity-affine") for note in read(tmp_path / "v.nii").notes)


def test_a_header_without_any_affine_is_noted(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((6, 6, 6), np.int16), None)
    image.header.set_zooms((1, 2, 3))
    nib.save(image, tmp_path / "v.nii")
    got = read(tmp_path / "v.nii")
    assert got.grid.spacing == (3, 2, 1)
    assert any(note.startswith("no-affine") for note in got.notes)


def test_sform_and_qform_that_disagree_are_noted(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((6, 6, 6), np.int16), np.diag([-2.0, -2, 2, 1]))
    image.set_qform(np.diag([2.0, -2, 2, 1]), code=1)
    nib.save(image, tmp_path / "v.nii")
    assert any(note.startswith("two-affines") for note in read(tmp_path / "v.nii").notes)


def test_a_sheared_affine_is_refused(tmp_path: Path) -> None:
    sheared = np.diag([2.0, 2, 2, 1])
    sheared[1, 2] = 0.7
    nib.save(nib.Nifti1Image(np.zeros((6, 6, 6), np.int16), sheared), tmp_path / "v.nii")
    with pytest.raises(GeometryError, match="right angles"):
        read(tmp_path / "v.nii")


def test_every_truncation_of_a_small_file_is_an_error_with_a_reason(tmp_path: Path) -> None:
    for name in ("v.nii", "v.nii.gz"):
        whole = save_with_nibabel(
            tmp_path / name, numbered(Grid.axial((3, 3, 3), (1, 1, 2))), Grid.axial((3, 3, 3), (1, 1, 2))
        )
        data = whole.read_bytes()
        for length in range(0, len(data) - 9, 3):
            (tmp_path / "cut.nii.gz").write_bytes(data[:length])
            with pytest.raises(UnreadableError):
                read(tmp_path / "cut.nii.gz")


def test_a_header_that_declares_a_huge_volume_takes_no_memory(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_data_dtype(np.int16)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    (tmp_path / "v.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(4)))
    with pytest.raises(LimitError, match="image_bytes"):
        read(tmp_path / "v.nii.gz")


def test_limits_stand_on_both_sides_of_the_line(tmp_path: Path) -> None:
    path = save_with_nibabel(
        tmp_path / "v.nii", numbered(Grid.axial((3, 4, 5), (1, 1, 1))), Grid.axial((3, 4, 5), (1, 1, 1))
    )
    assert read(path, Limits(image_bytes=120)).pixels.shape == (3, 4, 5)
    with pytest.raises(LimitError, match="image_bytes is 120, the limit is 119"):
        read(path, Limits(image_bytes=119))
    assert read(path, Limits(axis=5)).pixels.shape == (3, 4, 5)
    with pytest.raises(LimitError, match="axis is 5, the limit is 4"):
        read(path, Limits(axis=4))
    size = path.stat().st_size
    assert read(path, Limits(file_bytes=size)).pixels.shape == (3, 4, 5)
    with pytest.raises(LimitError, match="file_bytes"):
        read(path, Limits(file_bytes=size - 1))


def test_colour_becomes_luminance(tmp_path: Path) -> None:
    rgb = np.zeros((2, 2, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["G"] = 100
    nib.save(nib.Nifti1Image(rgb, np.diag([-1.0, -1, 2, 1])), tmp_path / "v.nii")
    image = read(tmp_path / "v.nii")
    assert np.all(image.pixels == 59)
    assert image.notes[0].startswith("colour")


def test_a_mask_with_fractions_is_no_label_map(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.full((3, 3, 3), 0.5, np.float32), np.diag([-1.0, -1, 2, 1])), tmp_path / "m.nii")
    with pytest.raises(UnreadableError, match="holds no labels"):
        read_labels(ImageSource(tmp_path / "m.nii", "nifti"))


def test_an_empty_mask_reads_rg_t29(tmp_path: Path) -> None:
    write_labelmap(tmp_path / "m.nii.gz", np.zeros((3, 3, 3), np.uint8), Grid.axial((3, 3, 3), (1, 1, 2)))
    back = read_labels(ImageSource(tmp_path / "m.nii.gz", "nifti"))
    assert back.array.max() == 0
    assert back.names == {}


def test_the_level_of_packing_does_not_change_the_content() -> None:
    grid = Grid.axial((3, 3, 3), (1, 1, 2))
    array = np.ones(grid.shape, np.uint8)
    assert gzip.decompress(nifti_bytes(array, grid, level=0)) == gzip.decompress(nifti_bytes(array, grid, level=3))
