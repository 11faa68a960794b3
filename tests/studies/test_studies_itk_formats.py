"""NRRD and MetaImage as SimpleITK writes them, and plain arrays."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from study_files import grids, numbered, same_samples

from radfoundry.errors import LimitError, UnreadableError
from radfoundry.geometry import Grid
from radfoundry.studies import ImageSource, Limits, read_image, read_labels

KINDS = {".nrrd": "nrrd", ".nhdr": "nrrd", ".mha": "metaimage", ".mhd": "metaimage"}


def save(path: Path, array: np.ndarray, grid: Grid, *, packed: bool) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    sitk.WriteImage(image, str(path), packed)
    return path


@pytest.mark.parametrize("ending", KINDS)
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None
)
@given(grid=grids(), packed=st.booleans(), dtype=st.sampled_from(["int16", "uint8", "float32", "uint16", "int32"]))
def test_any_geometry_that_simpleitk_writes_reads_at_its_place(
    ending: str, grid: Grid, packed: bool, dtype: str
) -> None:
    array = numbered(grid, dtype)
    with tempfile.TemporaryDirectory() as folder:
        image = read_image(ImageSource(save(Path(folder) / f"v{ending}", array, grid, packed=packed), KINDS[ending]))  # type: ignore[arg-type]
    assert same_samples(image.pixels, image.grid, array, grid)
    assert np.array_equal(image.orientation.invert(image.pixels), array)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_truncation_is_an_error_with_a_reason(tmp_path: Path, ending: str, packed: bool) -> None:
    grid = Grid.axial((3, 3, 3), (1, 1, 2))
    data = save(tmp_path / f"v{ending}", numbered(grid), grid, packed=packed).read_bytes()
    for length in range(0, len(data) - 9, 3):
        (tmp_path / f"cut{ending}").write_bytes(data[:length])
        with pytest.raises(UnreadableError):
            read_image(ImageSource(tmp_path / f"cut{ending}", KINDS[ending]))  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_limits_stand_on_both_sides_of_the_line(tmp_path: Path, ending: str) -> None:
    grid = Grid.axial((3, 4, 5), (1, 1, 2))
    source = ImageSource(save(tmp_path / f"v{ending}", numbered(grid), grid, packed=True), KINDS[ending])  # type: ignore[arg-type]
    assert read_image(source, Limits(image_bytes=120)).pixels.shape == (3, 4, 5)
    with pytest.raises(LimitError, match="image_bytes"):
        read_image(source, Limits(image_bytes=119))


def test_a_detached_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "v.nhdr").write_text(
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: ../../etc/passwd\n\n"
    )
    (tmp_path / "v.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\nElementDataFile = /etc/passwd\n"
    )
    for name, kind in (("v.nhdr", "nrrd"), ("v.mhd", "metaimage")):
        with pytest.raises(UnreadableError, match="keeps its samples elsewhere"):
            read_image(ImageSource(tmp_path / name, kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("fortran", [False, True])
def test_an_npy_array_reads_in_its_order_and_gives_no_sizes(tmp_path: Path, fortran: bool) -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    np.save(tmp_path / "v.npy", np.asfortranarray(array) if fortran else array)
    image = read_image(ImageSource(tmp_path / "v.npy", "npy"))
    assert np.array_equal(image.pixels, array)
    assert image.grid.unit == "pixel"
    np.save(tmp_path / "p.npy", array[0])
    assert read_image(ImageSource(tmp_path / "p.npy", "npy")).pixels.shape == (4, 5)


def test_an_npy_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableError, match="only numbers are samples"):
        read_image(ImageSource(tmp_path / "v.npy", "npy"))


def test_a_normalised_array_of_the_published_kind_reads_m3d_t46(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.linspace(0, 1, 1 * 4 * 8 * 8, dtype=np.float32).reshape(1, 4, 8, 8))
    image = read_image(ImageSource(tmp_path / "v.npy", "npy"))
    assert image.pixels.shape == (4, 8, 8)
    assert (image.pixels.min(), image.pixels.max()) == (0, 1)


def test_a_mask_in_npy_reads(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.eye(4, dtype=bool))
    assert read_labels(ImageSource(tmp_path / "m.npy", "npy")).array.sum() == 4
