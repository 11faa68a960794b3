"""Expected densities, volumes and halves of the body against real labelled scans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from radfoundry.anatomy import Region, crosswalk, region

WHOLE = (
    "liver", "spleen", "left kidney", "right kidney", "gallbladder", "left adrenal gland",
    "right adrenal gland", "stomach", "duodenum", "small bowel", "colon", "urinary bladder", "prostate", "sacrum",
    "lumbar vertebrae 1 (l1)", "lumbar vertebrae 3 (l3)", "lumbar vertebrae 5 (l5)", "left hip bone", "right hip bone",
    "left gluteus maximus", "right gluteus medius", "left gluteus minimus", "left iliopsoas", "right iliopsoas",
)  # fmt: skip
"""Structures that are neither cut by the picture's edge nor missed by the coarse model."""


@pytest.fixture(scope="module")
def facts(shared_data: Path) -> dict[str, dict[str, Any]]:
    loaded = json.loads((shared_data / "ct_totalseg" / "label_facts.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


def _ct_facts(facts: dict[str, dict[str, Any]]) -> list[tuple[str, Region, dict[str, Any]]]:
    walk = crosswalk("totalsegmentator_v2")
    return [
        (pair, walk.region_of(fact["label"]), fact)
        for pair, labels in facts.items()
        if "_mr_" not in pair
        for fact in labels.values()
    ]


def test_mean_densities_of_real_masks_are_in_the_expected_range(facts: dict[str, dict[str, Any]]) -> None:
    outside = [
        (pair, one.name, fact["mean_intensity"])
        for pair, one, fact in _ct_facts(facts)
        if one.hu_range and not one.hu_range[0] <= fact["mean_intensity"] <= one.hu_range[1]
    ]
    assert outside == []


def test_every_totalsegmentator_class_has_an_expected_density() -> None:
    assert [row.name for row in crosswalk("totalsegmentator_v2").mappings if row.region.hu_range is None] == []


def test_a_label_file_put_82_slices_too_low_is_seen_by_its_densities(shared_data: Path) -> None:
    """The published segmentation against the full volume, voxel by voxel as its wrong origin has it."""
    folder = shared_data / "ct_totalseg"
    image = np.asarray(nibabel.load(folder / "example_ct.nii.gz").dataobj)  # type: ignore[attr-defined]
    labels = np.asarray(nibabel.load(folder / "example_seg.nii.gz").dataobj)  # type: ignore[attr-defined]
    shares = [_share_outside(image[:, :, low : low + labels.shape[2]], labels) for low in (82, 0)]
    assert shares[0] == 0
    assert shares[1] > 0.5


def test_volumes_of_whole_organs_are_in_the_expected_range(facts: dict[str, dict[str, Any]]) -> None:
    volumes = {
        one.name: fact["ml"]
        for pair, one, fact in _ct_facts(facts)
        if pair.endswith("example_seg_fast_force_split.nii.gz")
    }
    for name in WHOLE:
        low, high = region(name).volume_ml_range or (0, 0)
        assert low <= volumes[name] <= high, name


def test_structures_lie_in_the_half_of_the_body_that_the_table_says(facts: dict[str, dict[str, Any]]) -> None:
    """Against the spine's own x, which scoliosis and positioning move; RAS, so the patient's left is negative."""
    wrong = []
    for pair in {pair for pair, _, _ in _ct_facts(facts)}:
        here = [(one, fact["centroid_ras_mm"][0]) for p, one, fact in _ct_facts(facts) if p == pair and fact["ml"] > 1]
        spine = float(np.mean([x for one, x in here if one.name.startswith(("lumbar", "thoracic vert"))]))
        for one, x in here:
            if one.lies in ("left", "right") and (x < spine) != (one.lies == "left"):
                wrong.append((pair, one.name, x - spine))
            if one.lies == "middle" and abs(x - spine) > 30:
                wrong.append((pair, one.name, x - spine))
    assert wrong == []


def _share_outside(image: np.ndarray, labels: np.ndarray) -> float:
    walk = crosswalk("totalsegmentator_v2")
    outside = []
    for value in np.unique(labels[labels > 0]):
        expected = walk.region_of(int(value)).hu_range
        assert expected is not None
        mean = float(image[labels == value].mean())
        outside.append(not expected[0] <= mean <= expected[1])
    return float(np.mean(outside))
