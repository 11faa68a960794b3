"""The doctor names what is wrong with intensities, sides, labels and writing, and says what can be built."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, ImageDraw
from study_files import dicom_slice, save

from radfoundry.geometry import Grid, Orientation
from radfoundry.studies import ReadImage, discover, read_image
from radfoundry.studies.doctor import Finding, doctor, summary
from radfoundry.studies.doctor.intensity import intensity_findings
from radfoundry.studies.doctor.sides import flip_findings
from radfoundry.studies.doctor.writing import writing_findings

HU = {
    "liver": (-20, 200),
    "spleen": (-20, 300),
    "aorta": (0, 600),
    "kidney_left": (-20, 300),
    "kidney_right": (-20, 300),
    "lung_lower_lobe_left": (-950, -300),
    "lung_lower_lobe_right": (-950, -300),
}


def codes(findings: list[Finding], path: str = "") -> list[str]:
    return [f.code for f in findings if f.path.startswith(path) and f.level != "info"]


def trunk(**changes: object) -> ReadImage:
    """A coarse chest: body, two lungs, a spine at the back, a liver below the right lung."""
    z, y, x = np.mgrid[0:60, 0:80, 0:100]
    hu = np.full((60, 80, 100), -1000, np.int16)
    hu[((x - 50) / 44) ** 2 + ((y - 40) / 30) ** 2 < 1] = 20
    for centre in (30, 70):
        hu[(((x - centre) / 14) ** 2 + ((y - 40) / 20) ** 2 < 1) & (z > 20)] = -850
    hu[((x - 50) ** 2 + (y - 60) ** 2 < 25)] = 400
    hu[(x > 60) & (x < 85) & (y > 20) & (y < 60) & (z < 20)] = -100
    hu[(x > 62) & (x < 75) & (y > 22) & (y < 35) & (z > 8) & (z < 18)] = -900
    hu += np.random.default_rng(0).integers(-8, 9, hu.shape, np.int16)
    grid = Grid.axial((60, 80, 100), (4.0, 4.0, 4.0))
    image = ReadImage(hu, grid, grid, Orientation.of(grid), "CT", "HU", "volume")
    return replace(image, **changes)  # type: ignore[arg-type]


def test_a_sound_chest_has_nothing_to_say() -> None:
    image = trunk()
    assert [*intensity_findings("ct", image), *flip_findings("ct", image)] == []


def test_front_and_back_exchanged_is_seen() -> None:
    image = trunk()
    flipped = replace(image, pixels=np.ascontiguousarray(image.pixels[:, ::-1]))
    assert [f.code for f in flip_findings("ct", flipped)] == ["flip-front-back"]


def test_left_and_right_exchanged_is_seen() -> None:
    image = trunk()
    flipped = replace(image, pixels=np.ascontiguousarray(image.pixels[:, :, ::-1]))
    assert [f.code for f in flip_findings("ct", flipped)] == ["flip-left-right"]


def test_head_and_feet_exchanged_is_seen() -> None:
    image = trunk()
    belly = np.concatenate([image.pixels[:10], image.pixels[:10], image.pixels], axis=0)
    for pixels, expected in ((belly, []), (belly[::-1], ["flip-head-foot"])):
        grid = Grid.axial(pixels.shape, (4.0, 4.0, 4.0))
        told = flip_findings("ct", replace(image, pixels=np.ascontiguousarray(pixels), grid=grid))
        assert [f.code for f in told if f.code == "flip-head-foot"] == expected


def test_a_real_chest_is_sound_and_its_mirror_is_not(shared_data: Path) -> None:
    image = read_image(discover(shared_data / "ct_chest" / "LIDC-IDRI-0003_full.zip").studies[0].images[0])
    assert list(flip_findings("ct", image)) == []
    assert [f.code for f in flip_findings("ct", replace(image, pixels=image.pixels[:, ::-1]))] == ["flip-front-back"]


def test_a_double_rescale_is_seen_rg_t31() -> None:
    image = trunk()
    twice = np.maximum(image.pixels.astype(int) - 1024, -1024).astype(np.int16)
    assert [f.code for f in intensity_findings("ct", replace(image, pixels=twice))] == ["double-rescale"]


def test_lost_hu_are_seen() -> None:
    image = trunk()
    raised = (image.pixels + 1024).astype(np.int16)
    assert [f.code for f in intensity_findings("ct", replace(image, pixels=raised, unit=""))] == ["lost-hu"]
    windowed = np.clip(image.pixels // 10 + 100, 0, 255).astype(np.int16)
    assert [f.code for f in intensity_findings("ct", replace(image, pixels=windowed, unit=""))] == ["not-hu"]


def test_a_constant_image_and_copied_slices_are_seen() -> None:
    image = trunk()
    assert [f.code for f in intensity_findings("ct", replace(image, pixels=image.pixels * 0))] == ["constant-image"]
    copied = np.random.default_rng(0).normal(0, 300, image.pixels.shape).astype(np.int16)
    copied[30] = copied[29]
    (finding,) = intensity_findings("ct", replace(image, pixels=copied))
    assert finding.code == "repeated-slices"
    assert "slices 30" in finding.reason


def test_the_pair_that_does_not_fit_is_named_and_those_that_do_are_not(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "ct_totalseg"
    facts = json.loads((root / "label_facts.json").read_text())
    numbering = {f["label"]: name for pair, labels in facts.items() if "_mr" not in pair for name, f in labels.items()}
    pairs = (
        ("ct", "seg", "bad"),
        ("ct_sm", "seg", "a"),
        ("ct_sm", "seg_fast", "b"),
        ("ct", "seg_fast_force_split", "c"),
    )
    rows = [f"{root}/example_{image}.nii.gz,{root}/example_{mask}.nii.gz,{name}" for image, mask, name in pairs]
    (tmp_path / "t.csv").write_text(
        "\n".join(["image,mask,study", *rows, f"{root}/example_ct_dicom.zip,{root}/example_seg_dicom.nii.gz,d"])
    )
    findings = list(doctor(tmp_path, tmp_path / "t.csv", plausible_hu=HU, numbering=numbering))
    errors = [f for f in findings if f.level == "error"]
    assert [(f.path, f.code) for f in errors] == [("example_seg.nii.gz", "implausible-hu")]
    assert "example_ct.nii.gz" in errors[0].reason
    assert "lung_lower_lobe" in errors[0].reason
    assert sum(f.code == "mask-reads" for f in findings) == 5


def test_left_named_labels_on_the_right_are_seen(tmp_path: Path) -> None:
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[:3, 4:6, 4:6], labels[7:, 4:6, 4:6] = 1, 2
    image = np.random.default_rng(0).normal(0, 100, labels.shape).astype(np.int16)
    # the first index grows to the patient's right (RAS): label 1 lies on the left, label 2 on the right
    for array, name in ((image, "scan_image"), (labels, "scan_mask")):
        nib.save(nib.Nifti1Image(array, np.diag([3.0, 3, 3, 1])), tmp_path / f"{name}.nii.gz")
    for left, right, expected in ((1, 2, []), (2, 1, ["sides-swapped"])):
        numbering = {left: "kidney_left", right: "kidney_right"}
        assert codes(list(doctor(tmp_path, numbering=numbering)), "scan_mask") == expected


def test_labels_in_no_numbering_are_asked_for(tmp_path: Path) -> None:
    for name, array in (("scan_image", np.arange(27)), ("scan_mask", np.arange(27) % 3)):
        nib.save(
            nib.Nifti1Image(array.reshape(3, 3, 3).astype(np.int16), np.diag([3.0, 3, 3, 1])),
            tmp_path / f"{name}.nii.gz",
        )
    assert codes(list(doctor(tmp_path, numbering={1: "liver"})), "scan_mask") == ["unnamed-labels"]
    assert codes(list(doctor(tmp_path)), "scan_mask") == ["unnamed-labels"]


def test_labels_of_an_mr_are_not_read_by_the_numbering_of_ct(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "ct_totalseg"
    (tmp_path / "t.csv").write_text(f"image,mask\n{root}/example_mr_sm.nii.gz,{root}/example_seg_mr.nii.gz\n")
    findings = list(doctor(tmp_path, tmp_path / "t.csv", numbering=dict.fromkeys(range(1, 118), "liver")))
    assert codes(findings, "example_seg_mr") == ["unnamed-labels"]


def film(text: str) -> ReadImage:
    image = Image.fromarray(np.random.default_rng(0).integers(20, 120, (400, 400), np.uint8))
    ImageDraw.Draw(image).text((20, 20), text, fill=255, font_size=22)
    pixels = np.asarray(image).astype(np.int16)
    grid = Grid.picture((400, 400))
    return ReadImage(pixels, grid, grid, Orientation.of(grid), "XR")


def test_writing_in_a_film_is_seen_and_a_side_marker_is_not() -> None:
    assert [f.code for f in writing_findings("x", film("DOE JOHN 1970"), "")] == ["burnt-in-text"]
    assert list(writing_findings("x", film("L"), "")) == []
    assert [f.code for f in writing_findings("x", film(""), "YES")] == ["burnt-in-text"]


def test_a_header_that_admits_annotation_is_believed(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    save(dicom_slice(pixels, Modality="CR", BurnedInAnnotation="YES"), tmp_path / "x.dcm")
    assert codes(list(doctor(tmp_path))) == ["burnt-in-text"]


def test_an_identity_affine_is_a_warning_rg_t30(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.arange(27, dtype=np.int16).reshape(3, 3, 3), np.eye(4)), tmp_path / "mr.nii.gz")
    assert codes(list(doctor(tmp_path))) == ["identity-affine"]


def test_what_can_be_built_depends_on_what_is_there(tmp_path: Path) -> None:
    nib.save(
        nib.Nifti1Image(np.arange(27, dtype=np.int16).reshape(3, 3, 3), np.diag([3.0, 3, 3, 1])), tmp_path / "mr.nii.gz"
    )
    (without,) = [f.reason for f in doctor(tmp_path) if f.code == "can-build"]
    (tmp_path / "mr.txt").write_text("No effusion.")
    (with_report,) = [f.reason for f in doctor(tmp_path) if f.code == "can-build"]
    assert without.startswith("description; without reports")
    assert with_report == "grounded-report, m3d, instruction, summary, description"


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    findings = list(doctor(tmp_path))
    assert [f.code for f in findings] == ["inventory", "can-build"]
    assert "nothing yet" in findings[1].reason


def test_the_summary_counts_plain_values(shared_data: Path) -> None:
    told = summary(doctor(shared_data / "dicom_edge" / "failing"))
    assert json.loads(json.dumps(told)) == told
    assert (told["images"], told["errors"], told["warnings"]) == (0, 14, 1)


@pytest.mark.parametrize("kind", ["file", "folder", "archive"])
def test_any_kind_of_source_can_be_examined(shared_data: Path, kind: str) -> None:
    edge = shared_data / "dicom_edge"
    source = {
        "file": edge / "single/CT_small.dcm",
        "folder": edge / "series/mr_rle",
        "archive": edge / "enhanced/eCT_Supplemental.zip",
    }
    findings = list(doctor(source[kind]))
    assert sum(f.code == "reads" for f in findings) == 1
    assert not [f for f in findings if f.level == "error"]
