"""Two hundred small scans on disk, four of them bad: four rejections with reasons, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from radfoundry import builders
from radfoundry.corpus import Corpus, CorpusInfo, build
from radfoundry.studies import discover

_COUNT = 200


def write_scan(path: Path, number: int) -> None:
    """A scan of noise that no other number gives, with a label in its middle."""
    rng = np.random.default_rng(number)
    scan = rng.integers(-1000, 1000, (12, 10, 8)).astype(np.int16)
    nib.save(nib.Nifti1Image(scan, np.diag([1.0, 1.0, 2.0, 1.0])), path)


def spoil(folder: Path) -> dict[str, str]:
    """Make four scans bad and return the code that each must be rejected with."""
    corrupt, cut, copy, wrong = (folder / f"scan{n:03d}.nii.gz" for n in (10, 60, 110, 160))
    data = bytearray(corrupt.read_bytes())
    data[len(data) // 2 :] = bytes(value ^ 0x5A for value in data[len(data) // 2 :])
    corrupt.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    copy.write_bytes((folder / "scan111.nii.gz").read_bytes())
    wrong.write_bytes(b"%PDF-1.7 a letter to the surgeon, saved under the name of a scan\n" * 20)
    return {corrupt.name: "bad-gzip", cut.name: "bad-gzip", copy.name: "duplicate-study", wrong.name: "not-nifti"}


@pytest.mark.slow
def test_a_corrupt_a_cut_a_doubled_and_a_mislabelled_file_are_four_rejections(tmp_path: Path) -> None:
    for number in range(_COUNT):
        write_scan(tmp_path / f"scan{number:03d}.nii.gz", number)
    bad = spoil(tmp_path)
    rows = [f"scan{n:03d}.nii.gz,Liver is normal.,p{n},CT" for n in range(_COUNT)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["image,report,patient,modality", *rows]))
    found = discover(tmp_path, table)
    salt = builders.corpus_salt(tmp_path / "salt.txt", [s.patient_key for s in found.studies])
    out = tmp_path / "out"
    build(
        found.studies, builders.pipeline("description", tmp_path, salt), out,
        workers=2, problems=found.problems, info=CorpusInfo(source_root=str(tmp_path)),
    )  # fmt: skip
    corpus = Corpus(out)
    rejected = corpus.rows("rejected")
    assert all(row.reason for row in rejected)
    assert sorted(row.code for row in rejected) == sorted(bad.values())
    unreadable = {name for name, code in bad.items() if code != "duplicate-study"}
    assert {name for name in bad if any(name in row.reason for row in rejected)} == unreadable
    intact = {f"scan{n:03d}.nii.gz" for n in range(_COUNT)} - unreadable
    assert {image.path for image in corpus.rows("images")} <= intact
    assert corpus.table("studies").num_rows == corpus.table("images").num_rows == _COUNT - 4
