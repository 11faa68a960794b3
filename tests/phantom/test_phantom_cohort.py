"""A cohort on disk is like anybody's: a table, NIfTI in RAS, PNG, label maps with names."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from radfoundry.phantom import make_phantom, write_cohort
from radfoundry.studies import discover, read_image, read_labels


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort"), 10)


def rows(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


def test_every_path_of_the_table_exists(cohort: Path) -> None:
    for row in rows(cohort):
        for column in ("image", "report", "mask", "labels"):
            assert (cohort.parent / row[column]).is_file(), row


def test_splits_follow_the_patients_and_priors_come_first(cohort: Path) -> None:
    studies = {row["study"]: row for row in rows(cohort)}
    assert {row["split"] for row in studies.values()} == {"train", "validation", "test"}
    with_prior = [row for row in studies.values() if row["prior"]]
    assert with_prior
    for row in with_prior:
        assert studies[row["prior"]]["patient"] == row["patient"]


def test_nifti_is_the_phantom_in_ras(cohort: Path) -> None:
    phantom = make_phantom(0)
    image = nibabel.load(cohort.parent / f"images/{phantom.key}.nii.gz")
    mask = nibabel.load(cohort.parent / f"masks/{phantom.key}.nii.gz")
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.array_equal(np.asarray(image.dataobj).T, phantom.volume)
    assert np.array_equal(np.asarray(mask.dataobj).T, phantom.labels)
    assert image.get_data_dtype() == np.int16
    last = np.array(phantom.grid.shape) - 1
    assert np.allclose((image.affine @ [*last[::-1], 1])[:3] * [-1, -1, 1], phantom.grid.to_world(last), atol=1e-3)


def test_the_radiograph_is_a_png_with_its_labels(cohort: Path) -> None:
    phantom = make_phantom(0)
    assert np.array_equal(np.asarray(Image.open(cohort.parent / f"images/{phantom.key}-xray.png")), phantom.xray)
    assert np.array_equal(np.asarray(Image.open(cohort.parent / f"masks/{phantom.key}-xray.png")), phantom.xray_labels)


def test_labels_files_name_every_value(cohort: Path) -> None:
    for row in rows(cohort):
        if row["image"].endswith(".nii.gz"):
            lines = (cohort.parent / row["labels"]).read_text(encoding="utf-8").splitlines()
            names = {int(value): name for value, name in (line.split("\t") for line in lines)}
            values = np.unique(np.asarray(nibabel.load(cohort.parent / row["mask"]).dataobj))
            assert set(values.tolist()) - {0} <= set(names)


def test_the_reader_of_studies_takes_the_cohort_back(cohort: Path) -> None:
    found = discover(cohort.parent, cohort)
    assert not found.problems
    phantom = make_phantom(0)
    studies = {study.key: study for study in found.studies}
    volume = read_image(studies[phantom.key].images[0])
    assert np.array_equal(volume.pixels, phantom.volume)
    assert volume.grid.matches(phantom.grid)
    assert studies[phantom.key].mask is not None
    labels = read_labels(studies[phantom.key].mask, studies[phantom.key].labels)
    assert np.array_equal(labels.array, phantom.labels)
    assert labels.names == phantom.label_names
    film = read_image(studies[f"{phantom.key}-xray"].images[0])
    assert np.array_equal(film.pixels, phantom.xray)
    assert film.view == "frontal"


def test_truth_is_written_beside_the_table(cohort: Path) -> None:
    truth = json.loads((cohort.parent / "truth.json").read_text(encoding="utf-8"))
    phantom = make_phantom(0)
    assert [f["concept"] for f in truth[phantom.key]] == [f.concept for f in phantom.truth]


def test_without_radiographs_and_with_splits_of_ones_own(tmp_path: Path) -> None:
    table = write_cohort(tmp_path, 2, xray=False, splits=("test",))
    assert {row["split"] for row in rows(table)} == {"test"}
    assert not list(tmp_path.glob("images/*.png"))
