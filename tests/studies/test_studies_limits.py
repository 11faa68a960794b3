"""Bounds on folders, archives and headers: a test on each side of every line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from study_files import dicom_slice, numbered, save, save_series

from radfoundry.errors import LimitError, UnreadableError
from radfoundry.geometry import Grid
from radfoundry.studies import ImageSource, Limits, discover, read_image
from radfoundry.studies.containers import open_container, open_file, walk
from radfoundry.studies.dicom_header import header_of
from radfoundry.studies.table import read_rows


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, data in members.items():
            stream.writestr(name, data)
    return path


def names(path: Path, limits: Limits) -> list[str]:
    with open_container(path, limits) as container:
        return container.names()


def read(path: Path, name: str, limits: Limits) -> bytes:
    with open_container(path, limits) as container, container.open(name) as stream:
        return stream.read()


def test_the_number_of_members(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", a=b"1", b=b"2")
    assert names(path, Limits(entries=2)) == ["a", "b"]
    with pytest.raises(LimitError, match="entries is 2, the limit is 1"):
        names(path, Limits(entries=1))


def test_the_size_of_a_member(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", a=b"x" * 1000)
    assert len(read(path, "a", Limits(file_bytes=1000))) == 1000
    with pytest.raises(LimitError, match="file_bytes is 1,000, the limit is 999"):
        read(path, "a", Limits(file_bytes=999))


def test_the_ratio_of_a_member_counts_above_its_floor(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", a=bytes(100_000))
    assert len(read(path, "a", Limits(ratio=10, ratio_floor_bytes=100_000))) == 100_000
    with pytest.raises(LimitError, match="ratio"):
        read(path, "a", Limits(ratio=10, ratio_floor_bytes=99_999))
    assert len(read(path, "a", Limits(ratio=2000, ratio_floor_bytes=1))) == 100_000


def test_archives_within_archives(tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner.zip", a=b"1").read_bytes()
    path = archive(tmp_path / "outer.zip", **{"inner.zip": inner})
    assert names(path, Limits(nesting=2)) == ["inner.zip!a"]
    assert read(path, "inner.zip!a", Limits()) == b"1"
    with pytest.raises(LimitError, match="nesting is 2, the limit is 1"):
        names(path, Limits(nesting=1))


def test_a_member_that_lies_about_its_size_is_not_followed(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", a=b"x" * 1000)
    raw = bytearray(path.read_bytes())
    at = raw.rfind(b"PK\x01\x02")
    raw[at + 24 : at + 28] = (10).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises((UnreadableError, LimitError)):
        read(path, "a", Limits())


def test_names_that_climb_out_stay_names(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", **{"../../x": b"1"})
    assert read(path, "../../x", Limits()) == b"1"
    assert not (tmp_path.parent.parent / "x").exists()


def test_a_locked_member_is_refused_with_its_reason(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", a=b"1")
    raw = bytearray(path.read_bytes())
    at = raw.rfind(b"PK\x01\x02")
    raw[at + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(UnreadableError, match="password"):
        read(path, "a", Limits())


def test_the_depth_and_number_of_files_in_folders(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("1", "a/2", "a/b/3"):
        (tmp_path / name).write_bytes(b"")
    assert len(list(walk(tmp_path, Limits(folder_depth=2, entries=3)))) == 3
    with pytest.raises(LimitError, match="folder_depth is 2, the limit is 1"):
        list(walk(tmp_path, Limits(folder_depth=1)))
    with pytest.raises(LimitError, match="entries is 3, the limit is 2"):
        list(walk(tmp_path, Limits(entries=2)))


def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(UnreadableError, match="is no file"):
            open_file(path, Limits())
    assert discover(tmp_path).studies == ()


def test_the_number_of_slices_and_the_size_of_a_volume(tmp_path: Path) -> None:
    grid = Grid.axial((4, 5, 7), (1, 1, 1))
    source = ImageSource(tmp_path, "dicom-series", save_series(tmp_path, numbered(grid), grid))
    assert read_image(source, Limits(files=4)).pixels.shape == (4, 5, 7)
    with pytest.raises(LimitError, match="files is 4, the limit is 3"):
        read_image(source, Limits(files=3))
    assert read_image(source, Limits(image_bytes=4 * 5 * 7 * 2)).pixels.shape == (4, 5, 7)
    with pytest.raises(LimitError, match="image_bytes"):
        read_image(source, Limits(image_bytes=4 * 5 * 7 * 2 - 1))


def test_rows_and_columns_of_a_header_are_checked_before_memory_is_taken(tmp_path: Path) -> None:
    path = save(
        dicom_slice(np.zeros((4, 4), np.int16), Rows=60_000, Columns=60_000, NumberOfFrames=60_000), tmp_path / "a.dcm"
    )
    with pytest.raises(LimitError):
        read_image(ImageSource(path, "dicom-object"))


def test_frames_of_an_object(tmp_path: Path) -> None:
    path = save(dicom_slice(np.zeros((3, 4, 8), np.uint8), NumberOfFrames=3, Modality="US"), tmp_path / "a.dcm")
    source = ImageSource(path, "dicom-object")
    assert read_image(source, Limits(files=3)).pixels.shape == (4, 8)
    with pytest.raises(LimitError, match="files is 3, the limit is 2"):
        read_image(source, Limits(files=2))


def test_sequences_nested_without_end_are_refused() -> None:
    opening = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    meta = Dataset()
    path = io.BytesIO()
    save_to = dicom_slice(np.zeros((2, 2), np.int16))
    save_to.save_as(path, enforce_file_format=True)
    start = path.getvalue()[:132] + b"".join([b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0", opening * 20_000])
    with pytest.raises((LimitError, UnreadableError)):
        header_of(io.BytesIO(start), "nested")
    assert len(meta) == 0


def test_a_length_of_four_gigabytes_asks_for_what_is_there(tmp_path: Path) -> None:
    raw = bytearray(
        save(dicom_slice(np.zeros((2, 2), np.int16), PatientComments="x" * 20), tmp_path / "a.dcm").read_bytes()
    )
    at = raw.find(b"\x10\x00\x00\x40LT")
    raw[at + 6 : at + 8] = b"\xff\xff"
    with pytest.raises(UnreadableError):
        header_of(io.BytesIO(bytes(raw)), "a.dcm")


def test_rows_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image\na\nb\n")
    assert len(read_rows(tmp_path / "t.csv", Limits(table_rows=2))) == 2
    with pytest.raises(LimitError, match="table_rows is 2, the limit is 1"):
        read_rows(tmp_path / "t.csv", Limits(table_rows=1))
