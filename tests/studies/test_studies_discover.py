"""Folders, archives and tables to studies; what cannot be one is named, and the rest goes on."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from radfoundry.errors import UsageError
from radfoundry.records import Rejected
from radfoundry.studies import discover, read_image


def nifti(path: Path, size: int = 3, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.full((size, size, size), value, np.int16), np.diag([-2.0, -2, 2, 1])), path)
    return path


def film(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 6), 9).save(path)
    return path


def table(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, sorted({key for row in rows for key in row}))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_studies_come_in_the_order_of_their_keys(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a/z.png", "c.png"):
        (nifti if "nii" in name else film)(tmp_path / name)
    assert [study.key for study in discover(tmp_path).studies] == ["a/z.png", "b.nii.gz", "c.png"]


def test_a_single_file_is_one_study(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii.gz")
    nifti(tmp_path / "b.nii.gz")
    assert [study.key for study in discover(tmp_path / "a.nii.gz").studies] == ["a.nii.gz"]


def test_a_missing_source_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        discover(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("case1_image.nii.gz", "case1_mask.nii.gz"),
        ("images/007.png", "masks/007.png"),
        ("images/007.png", "masks/007_mask.png"),
        ("CT_image.nii.gz", "CT_seg.nii.gz"),
        ("s1/ct.nii.gz", "s1/segmentations/liver.nii.gz"),
        ("volume-12.nii", "segmentation-12.nii"),
        ("imagesTr/case7_0000.nii.gz", "labelsTr/case7.nii.gz"),
    ],
)
def test_masks_pair_by_name(tmp_path: Path, image: str, mask: str) -> None:
    for name in (image, mask):
        (nifti if "nii" in name else film)(tmp_path / name)
    (study,) = discover(tmp_path).studies
    assert study.key == image
    assert study.mask is not None
    assert study.mask.path == tmp_path / mask


def test_a_mask_that_several_images_could_own_is_left_alone_and_said(tmp_path: Path) -> None:
    for name in ("a/images/1.png", "a/films/1.png", "a/masks/1.png"):
        film(tmp_path / name)
    found = discover(tmp_path)
    assert [s.mask for s in found.studies] == [None, None]
    assert [p.code for p in found.problems] == ["unpaired-mask"]
    assert "2 images could own it" in found.problems[0].reason


def test_one_structure_a_file_makes_many_masks_of_one_image(tmp_path: Path) -> None:
    nifti(tmp_path / "s1" / "ct.nii.gz")
    for name in ("liver", "spleen", "aorta"):
        nifti(tmp_path / "s1" / "segmentations" / f"{name}.nii.gz", value=1)
    (study,) = discover(tmp_path).studies
    assert [m.source.path.name for m in study.masks] == ["aorta.nii.gz", "liver.nii.gz", "spleen.nii.gz"]


def test_a_text_of_the_same_name_is_the_report(tmp_path: Path) -> None:
    film(tmp_path / "x.png")
    (tmp_path / "x.txt").write_text("No effusion.\n")
    (study,) = discover(tmp_path).studies
    assert study.report == "No effusion."
    assert study.report_path == tmp_path / "x.txt"


def test_what_is_nothing_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    film(tmp_path / "x.png")
    (tmp_path / "y.nii.gz").write_bytes(b"no")
    (tmp_path / "core").write_bytes(b"\x7fELF")
    (tmp_path / "z.zip").write_bytes(b"PK no")
    (tmp_path / "notes.md").write_text("x")
    found = discover(tmp_path)
    assert len(found.studies) == 1
    assert [(p.key, p.code) for p in found.problems] == [
        ("core", "not-dicom"),
        ("y.nii.gz", "not-nifti"),
        ("z.zip", "zip"),
    ]
    assert all(isinstance(p, Rejected) and p.step == "discover" and p.reason for p in found.problems)


def test_links_that_lead_in_circles_are_not_followed(tmp_path: Path) -> None:
    film(tmp_path / "a" / "x.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(discover(tmp_path).studies) == 1


def test_a_table_is_enough_to_take_in_a_cohort(tmp_path: Path) -> None:
    nifti(tmp_path / "scans" / "1.nii.gz")
    nifti(tmp_path / "m.nii.gz", value=1)
    film(tmp_path / "front.png")
    (tmp_path / "names.json").write_text('{"1": "liver"}')
    (tmp_path / "r.txt").write_text("Large liver.")
    rows = table(
        tmp_path / "t.csv",
        {"image": "scans/1.nii.gz", "mask": "m.nii.gz", "labels": "names.json", "report": "r.txt", "patient": "P9", "study": "S1",
         "split": "val", "licence": "CC BY 4.0", "prior": "S0", "modality": "ct"},
        {"image": "front.png", "study": "S0", "patient": "P9", "report": "Clear lungs, no change.", "view": "Frontal", "modality": "dx"},
    )  # fmt: skip
    old, new = discover(tmp_path, rows).studies
    assert (new.key, new.patient_key, new.split, new.licence, new.prior) == (
        "S1",
        "P9",
        "validation",
        "CC BY 4.0",
        "S0",
    )
    assert (new.report, new.report_path) == ("Large liver.", tmp_path / "r.txt")
    assert new.mask is not None
    assert new.labels == tmp_path / "names.json"
    assert read_image(new.images[0]).modality == "CT"
    assert (old.report, old.report_path, old.mask) == ("Clear lungs, no change.", None, None)
    assert (read_image(old.images[0]).modality, read_image(old.images[0]).view) == ("DX", "frontal")


def test_rows_of_one_study_are_one_study_with_the_masked_image_first(tmp_path: Path) -> None:
    film(tmp_path / "a.png")
    film(tmp_path / "b.png")
    film(tmp_path / "m.png")
    rows = table(
        tmp_path / "t.csv",
        {"image": "a.png", "study": "S", "report": "Clear."},
        {"image": "b.png", "study": "S", "mask": "m.png", "report": "Clear."},
    )
    (study,) = discover(tmp_path, rows).studies
    assert [image.path.name for image in study.images] == ["b.png", "a.png"]
    assert [(m.image, m.source.path.name) for m in study.masks] == [(0, "m.png")]


def test_a_row_may_name_a_folder_or_an_archive(tmp_path: Path, shared_data: Path) -> None:
    rows = table(
        tmp_path / "t.csv",
        {"image": str(shared_data / "ct_totalseg" / "example_ct_dicom.zip"), "study": "zip"},
        {"image": str(shared_data / "dicom_edge" / "series" / "mr_rle"), "study": "folder"},
        {"image": str(shared_data / "dicom_edge" / "failing" / "ct_same_position.zip"), "study": "bad"},
    )
    found = discover(tmp_path, rows)
    assert [study.key for study in found.studies] == ["folder", "zip"]
    assert [(p.key, p.code) for p in found.problems] == [("t.csv:4", "same-position")]


def test_what_a_named_folder_holds_besides_is_named_too(tmp_path: Path, shared_data: Path) -> None:
    rows = table(tmp_path / "t.csv", {"image": str(shared_data / "dicom_edge" / "dicomdir" / "98892001")})
    found = discover(tmp_path, rows)
    assert len(found.studies) == 1
    assert [p.code for p in found.problems] == ["localizer", "localizer"]


def test_a_bad_row_is_named_by_its_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    film(tmp_path / "a.png")
    rows = table(
        tmp_path / "t.csv",
        {"image": "a.png"},
        {"image": "gone.png"},
        {"image": "", "report": ""},
        {"image": "a.png", "split": "holdout", "study": "T"},
        {"image": "a.png"},
        {"image": "a.png", "report": "missing.txt"},
        {"image": "a.png", "report": "Another film."},
    )
    found = discover(tmp_path, rows)
    assert [(p.key, p.code) for p in found.problems] == [
        ("t.csv:3", "missing-file"),
        ("t.csv:5", "bad-split"),
        ("t.csv:6", "repeated-row"),
        ("t.csv:7", "missing-file"),
    ]
    assert [study.key for study in found.studies] == ["a.png", "a.png (2)"]


def test_a_report_alone_is_a_study(tmp_path: Path) -> None:
    (study,) = discover(
        tmp_path, table(tmp_path / "t.csv", {"report": "No effusion.", "image": "", "patient": "7"})
    ).studies
    assert (study.images, study.report, study.patient_key) == ((), "No effusion.", "7")


def test_two_reports_of_one_study_are_named(tmp_path: Path) -> None:
    film(tmp_path / "a.png")
    rows = table(
        tmp_path / "t.csv",
        {"image": "a.png", "study": "S", "report": "Clear lungs."},
        {"image": "a.png", "study": "S", "report": "Effusion."},
    )
    found = discover(tmp_path, rows)
    assert [p.code for p in found.problems] == ["two-reports"]
    assert found.studies[0].report == "Clear lungs."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,value\n1,2\n", "its columns are name, value"),
        ("image,image\na,b\n", "has a column twice"),
        ("", "its columns are none"),
        ('image,report\n"a,b\n', ""),
    ],
)
def test_a_table_that_is_none_says_why(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    if not words:
        assert discover(tmp_path, tmp_path / "t.csv").studies == ()
        return
    with pytest.raises(UsageError, match=words):
        discover(tmp_path, tmp_path / "t.csv")


def test_semicolons_tabs_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    film(tmp_path / "a.png")
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfimage;report\na.png;Clear lungs, both.\n")
    (tmp_path / "t.tsv").write_text("image\treport\na.png\tClear\n")
    assert discover(tmp_path, tmp_path / "t.csv").studies[0].report == "Clear lungs, both."
    assert discover(tmp_path, tmp_path / "t.tsv").studies[0].report == "Clear"


def test_the_notes_collection_reads_through_a_table_each_film_once(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "cxr_notes"
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as stream:
        source = list(csv.DictReader(stream))
    rows = [
        {"image": str(folder / "images" / row["filename"]), "report": row["clinical_notes"], "patient": row["patientid"],
         "licence": row["license"]}
        for row in source
    ]  # fmt: skip
    found = discover(tmp_path, table(tmp_path / "t.csv", *rows))
    assert len(found.studies) == 28
    assert [p.code for p in found.problems] == ["repeated-row", "repeated-row"]
    assert len({study.licence for study in found.studies}) > 2
    assert all(study.report for study in found.studies)


def test_an_archive_beside_loose_files_is_found(tmp_path: Path, shared_data: Path) -> None:
    film(tmp_path / "x.png")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.write(shared_data / "dicom_edge" / "single" / "CT_small.dcm", "deep/er/CT_small")
        archive.writestr("../../escape.txt", "no")
    found = discover(tmp_path)
    assert len(found.studies) == 2
    (source,) = [s.images[0] for s in found.studies if s.images[0].kind == "dicom-object"]
    assert source.label == "d.zip!deep/er/CT_small"
    assert read_image(source).pixels.shape == (1, 128, 128)
