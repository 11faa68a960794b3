"""Damaged files by the thousand: every one reads or is refused with a reason; none crashes, hangs, or takes memory beyond its bound."""

from __future__ import annotations

import gzip
import io
import random
import resource
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from radfoundry.errors import RadfoundryError
from radfoundry.studies import ImageSource, Limits, discover, read_image, read_label_layers, read_report
from radfoundry.studies.lidc import read_lidc

LIMITS = Limits(image_bytes=64 << 20, file_bytes=64 << 20, seconds=20)
CASES = 10_000
MEMORY_BYTES = 1 << 30


def seeds(shared_data: Path) -> dict[str, bytes]:
    """Small files of every kind."""
    out = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(out, "PNG")
    found = {"a.png": out.getvalue()}
    image = nib.Nifti1Image(np.arange(27, dtype=np.int16).reshape(3, 3, 3), np.diag([-2.0, -2, 2, 1]))
    found["a.nii"] = image.to_bytes()
    found["a.nii.gz"] = gzip.compress(found["a.nii"])
    small = shared_data / "dicom_seg_sr"
    found["a.nrrd"] = (small / "dcmqi_small/24x38x3/nrrd/label.nrrd").read_bytes()
    found["seg.dcm"] = (small / "dcmqi_small/24x38x3/seg/label.seg").read_bytes()
    found["sr.dcm"] = (small / "highdicom/sr_document.dcm").read_bytes()
    edge = shared_data / "dicom_edge"
    for name in (
        "MR_small",
        "MR_small_RLE",
        "MR_small_jp2klossless",
        "MR_small_jpeg_ls_lossless",
        "rtstruct",
        "rtdose",
        "SC_rgb_small_odd",
    ):
        found[f"{name}.dcm"] = (edge / "single" / f"{name}.dcm").read_bytes()
    found["enhanced.dcm"] = (edge / "enhanced" / "emri_small_RLE.dcm").read_bytes()
    found["report.xml"] = (shared_data / "openi_reports" / "ecgen-radiology" / "25.xml").read_bytes()
    found["lidc.xml"] = gzip.decompress((shared_data / "ct_lidc" / "LIDC-IDRI-0001_annotations.xml.gz").read_bytes())[
        :20_000
    ]
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/MR", found["MR_small.dcm"])
    found["a.zip"] = zipped.getvalue()
    return found


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Cut, flip, repeat, blow up or swap, mostly in the first kilobytes, where headers are."""
    raw = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not raw:
            break
        at = min(int(rng.expovariate(1 / 600)), len(raw) - 1) if rng.random() < 0.8 else rng.randrange(len(raw))
        match rng.randrange(7):
            case 0:
                del raw[at:]
            case 1:
                raw[at] ^= 1 << rng.randrange(8)
            case 2:
                raw[at : at + 4] = rng.choice(
                    (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80")
                )
            case 3:
                raw[at : at + 2] = rng.randbytes(2)
            case 4:
                raw[at:at] = raw[at : at + rng.randrange(1, 64)]
            case 5:
                del raw[at : at + rng.randrange(1, 16)]
            case _:
                raw[at : at + 2] = rng.choice((b"\xfe\xff", b"SQ", b"UN", b"OB", b"-1", b"1A", b"\xe0\x7f"))
    return bytes(raw)


def use(path: Path) -> bool:
    """Do everything that a file of this name is used for; True where it reads."""
    if path.name == "report.xml":
        return bool(read_report(path, LIMITS))
    if path.name == "lidc.xml":
        return bool(read_lidc(path, LIMITS))
    found = discover(path.parent, limits=LIMITS)
    for study in found.studies:
        for source in study.images:
            image = read_image(source, LIMITS)
            for mask in study.masks:
                read_label_layers(mask.source, limits=LIMITS, image=image.grid)
    if path.name in ("seg.dcm", "rtstruct.dcm"):
        kind = "dicom-seg" if path.name == "seg.dcm" else "dicom-rtstruct"
        from radfoundry.geometry import Grid

        read_label_layers(ImageSource(path, kind), limits=LIMITS, image=Grid.axial((3, 20, 20), (2, 1, 1)))  # type: ignore[arg-type]
    return bool(found.studies)


def survives(folder: Path, name: str, data: bytes) -> bool | None:
    """Return whether it read, None where it was refused; anything else that is raised fails the test."""
    (folder / name).write_bytes(data)
    try:
        return use(folder / name)
    except RadfoundryError:
        return None
    finally:
        (folder / name).unlink()


def run(folder: Path, cases: Callable[[], object], count: int) -> None:
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cases()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MEMORY_BYTES, f"{grown / 1e6:.0f} MB more"
    assert time.monotonic() - start < 60 + count, "slower than a second a case"
    assert list(folder.iterdir()) == []


def test_a_few_damaged_files_of_every_kind(shared_data: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    files = seeds(shared_data)

    def cases() -> None:
        for name, data in files.items():
            for _ in range(4):
                survives(tmp_path, name, mutated(data, rng))

    run(tmp_path, cases, 4 * len(files))


@pytest.mark.slow
def test_ten_thousand_damaged_files(shared_data: Path, tmp_path: Path) -> None:
    rng = random.Random(20261124)
    files = list(seeds(shared_data).items())
    reads = refused = 0

    def cases() -> None:
        nonlocal reads, refused
        for number in range(CASES):
            name, data = files[number % len(files)]
            result = survives(tmp_path, name, mutated(data, rng))
            reads += bool(result)
            refused += result is None

    run(tmp_path, cases, CASES)
    # both ways are really walked
    assert reads > CASES / 20
    assert refused > CASES / 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SC_rgb_small_odd.dcm", "a.nii", "a.nii.gz", "a.png"])
def test_truncation_at_every_byte(shared_data: Path, tmp_path: Path, name: str) -> None:
    data = seeds(shared_data)[name]

    def cases() -> None:
        for length in range(len(data)):
            survives(tmp_path, name, data[:length])

    run(tmp_path, cases, len(data))


def test_the_seeds_themselves_read(shared_data: Path, tmp_path: Path) -> None:
    for name, data in seeds(shared_data).items():
        if name in ("rtstruct.dcm", "sr.dcm", "seg.dcm", "lidc.xml"):
            continue
        folder = tmp_path / name
        folder.mkdir()
        assert survives(folder, name, data), name
        shutil.rmtree(folder)
