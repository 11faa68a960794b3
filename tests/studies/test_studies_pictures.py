"""Picture files and radiographs: one channel, bright as dense, hung with the patient's right on the picture's left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from study_files import dicom_slice, save

from radfoundry.errors import LimitError, UnreadableError
from radfoundry.studies import ImageSource, Limits, ReadImage, discover, read_image, read_labels

CR = "1.2.840.10008.5.1.4.1.1.1"


def raster(path: Path, limits: Limits | None = None) -> ReadImage:
    return read_image(ImageSource(path, "raster"), limits)


def radiograph(tmp_path: Path, pixels: np.ndarray, **elements: object) -> ReadImage:
    path = save(dicom_slice(pixels, SOPClassUID=CR, Modality="CR", **elements), tmp_path / "x.dcm")
    return read_image(discover(path).studies[0].images[0])


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_grey_in_any_mode_is_read_exactly(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(GREY)
    (image if mode == "L" else image.convert(mode)).save(tmp_path / "x.png")
    read = raster(tmp_path / "x.png")
    assert np.array_equal(read.pixels, GREY)
    assert read.pixels.dtype == np.int16
    assert read.grid.unit == "pixel"


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    deep = (GREY.astype(np.uint16) * 5000).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "x.png")
    assert np.array_equal(raster(tmp_path / "x.png").pixels, deep)
    Image.fromarray(deep).save(tmp_path / "x.tif")
    assert np.array_equal(raster(tmp_path / "x.tif").pixels, deep)


def test_colour_is_luminance_and_names_no_modality(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (200, 10, 10)).save(tmp_path / "x.png")
    read = raster(tmp_path / "x.png")
    assert read.modality == ""
    assert read.pixels[0, 0] == round(0.299 * 200 + 0.701 * 10)
    assert {note.split(":")[0] for note in read.notes} == {"colour", "guessed-modality"}


def test_alpha_is_no_intensity(tmp_path: Path) -> None:
    image = Image.fromarray(GREY).convert("RGBA")
    image.putalpha(0)
    image.save(tmp_path / "x.png")
    assert np.array_equal(raster(tmp_path / "x.png").pixels, GREY)


def test_the_pages_of_a_tiff_can_be_chosen(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "x.tif", save_all=True, append_images=[Image.fromarray(GREY + 1)])
    assert any(note.startswith("pages") for note in raster(tmp_path / "x.tif").notes)
    assert np.array_equal(read_image(ImageSource(tmp_path / "x.tif", "raster", (), "1")).pixels, GREY + 1)


def test_a_cameras_orientation_is_applied_and_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "x.png", exif=exif)
    read = raster(tmp_path / "x.png")
    assert read.pixels.shape == (4, 3)
    assert any(note.startswith("turned") for note in read.notes)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif"])
def test_every_truncation_is_an_error_with_a_reason(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24), np.uint8)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for length in range(0, max(1, int(0.8 * len(data))), 7):
        (tmp_path / "cut.png").write_bytes(data[:length])
        with pytest.raises(UnreadableError):
            raster(tmp_path / "cut.png")


def test_a_picture_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size < 100_000
    with pytest.raises(LimitError, match="image_bytes"):
        raster(tmp_path / "x.png", Limits(image_bytes=1 << 30))


def test_limits_stand_on_both_sides_of_the_line(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "x.png")
    assert raster(tmp_path / "x.png", Limits(image_bytes=48)).pixels.shape == (3, 4)
    with pytest.raises(LimitError, match="image_bytes is 48, the limit is 47"):
        raster(tmp_path / "x.png", Limits(image_bytes=47))


def test_what_a_name_says_is_taken(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "cxr_lateral.png")
    read = raster(tmp_path / "cxr_lateral.png")
    assert (read.modality, read.view) == ("XR", "lateral")


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    stored = np.array([[0, 1], [2, 4095]], np.uint16)
    read = radiograph(
        tmp_path,
        stored,
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=12,
        HighBit=11,
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    assert np.array_equal(read.pixels, 4095 - stored.astype(int))
    assert read.notes[0].startswith("monochrome1")


@pytest.mark.parametrize(
    ("said", "expected"),
    [(["L", "F"], GREY), (["R", "F"], GREY[:, ::-1]), (["L", "H"], GREY[::-1]), (["R", "H"], GREY[::-1, ::-1])],
)
def test_a_frontal_film_is_hung_with_the_right_side_on_the_left(
    tmp_path: Path, said: list[str], expected: np.ndarray
) -> None:
    read = radiograph(tmp_path, GREY, PatientOrientation=said, ViewPosition="PA", PixelSpacing=[0.2, 0.1])
    assert np.array_equal(read.pixels, expected)
    assert read.view == "frontal"
    assert read.grid.spacing == (0.2, 0.1)
    assert np.array_equal(read.orientation.invert(read.pixels), GREY)


def test_a_lateral_film_is_left_as_it_is(tmp_path: Path) -> None:
    read = radiograph(tmp_path, GREY, PatientOrientation=["A", "F"], ViewPosition="LL")
    assert np.array_equal(read.pixels, GREY)
    assert read.view == "lateral"


def test_a_spacing_of_zero_is_no_spacing(tmp_path: Path) -> None:
    assert radiograph(tmp_path, GREY, PixelSpacing=[0, 0]).grid.unit == "pixel"


def test_the_imager_spacing_stands_in(tmp_path: Path) -> None:
    assert radiograph(tmp_path, GREY, ImagerPixelSpacing=[0.15, 0.15]).grid.spacing == (0.15, 0.15)


def test_a_mask_of_two_levels_is_one_structure_named_by_its_file(tmp_path: Path) -> None:
    Image.fromarray((GREY > 5).astype(np.uint8) * 255).save(tmp_path / "mask_left_lung_000.png")
    mask = read_labels(ImageSource(tmp_path / "mask_left_lung_000.png", "raster"))
    assert mask.names == {1: "left_lung"}
    assert np.array_equal(mask.array, GREY > 5)


def test_a_mask_that_nothing_names_says_so(tmp_path: Path) -> None:
    Image.fromarray((GREY > 5).astype(np.uint8)).save(tmp_path / "000123.png")
    mask = read_labels(ImageSource(tmp_path / "000123.png", "raster"))
    assert mask.names == {}
    assert mask.notes[0].startswith("unnamed-mask")


def test_a_labels_file_names_grey_levels(tmp_path: Path) -> None:
    Image.fromarray((GREY > 5).astype(np.uint8) * 200).save(tmp_path / "m.png")
    (tmp_path / "names.tsv").write_text("value\tname\n200\tliver\n")
    mask = read_labels(ImageSource(tmp_path / "m.png", "raster"), tmp_path / "names.tsv")
    assert mask.names == {200: "liver"}
    assert set(np.unique(mask.array)) == {0, 200}
