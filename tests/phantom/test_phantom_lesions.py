"""What is wrong is where the truth says, as large as it says, and some of it is hard to see."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from radfoundry.language import concepts
from radfoundry.phantom import Phantom, TruthFinding, make_phantom
from radfoundry.phantom.scene import FIRST_LESION
from radfoundry.phantom.tissues import ORGANS
from radfoundry.phantom.truth import CONCEPTS


def present(phantom: Phantom) -> list[TruthFinding]:
    return [f for f in phantom.truth if f.presence == "present"]


def test_every_present_finding_has_a_label_of_its_name(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        for finding in present(phantom):
            assert finding.label_value is not None
            assert phantom.mask(finding.label_value).any()
            name = phantom.label_names[finding.label_value]
            assert name in (finding.concept, finding.region)


def test_every_lesion_label_has_a_finding(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        labels = {int(v) for v in np.unique(phantom.labels) if v >= FIRST_LESION}
        assert labels == {f.label_value for f in present(phantom) if (f.label_value or 0) >= FIRST_LESION}


def test_lung_lesions_lie_in_the_lobe_and_on_the_side_of_the_truth(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        spine = phantom.grid.to_world(np.argwhere(phantom.organs == ORGANS["spinal canal"]).mean(axis=0))[0]
        for finding in present(phantom):
            if finding.region in ORGANS and "lobe" in finding.region and finding.label_value:
                mask = phantom.mask(finding.label_value)
                inside = np.mean(phantom.organs[mask] == ORGANS[finding.region])
                assert inside > 0.5, (phantom.key, finding.concept)
                x = phantom.grid.to_world(np.argwhere(mask).mean(axis=0))[0]
                assert ("left" if x > spine else "right") == finding.side


def test_a_nodule_is_as_wide_as_the_truth_says_and_at_least_four_voxels(train: tuple[Phantom, ...]) -> None:
    sizes = []
    for phantom in train:
        for finding in present(phantom):
            if finding.concept in ("lung nodule", "lung mass") and not phantom.prior:
                assert finding.size_mm is not None
                assert finding.label_value is not None
                assert finding.size_mm >= 4 * phantom.grid.spacing[1]
                where = np.argwhere(phantom.mask(finding.label_value)) * phantom.grid.spacing
                widest = np.linalg.norm(where[:, None] - where[None], axis=-1).max() + phantom.grid.spacing[1]
                sizes.append(widest / finding.size_mm)
    assert 0.75 < np.median(sizes) < 1.25


def test_about_a_third_of_the_patients_are_healthy() -> None:
    from radfoundry.phantom.dice import Dice
    from radfoundry.phantom.findings import draw_lesions
    from radfoundry.phantom.patient import draw_patient

    drawn = [draw_lesions(Dice("l", i), draw_patient(Dice("p", i))) for i in range(300)]
    assert 0.26 < np.mean([not lesions for lesions in drawn]) < 0.42
    assert {lesion.concept for lesions in drawn for lesion in lesions} == set(CONCEPTS)


def test_concepts_are_those_of_the_language_room() -> None:
    assert set(CONCEPTS) <= set(concepts())


@pytest.mark.slow
def test_lesions_range_from_glaring_down_to_the_noise() -> None:
    contrasts = [f.contrast for i in range(150) for f in present(make_phantom(i)) if f.contrast is not None]
    assert min(contrasts) < 1.5
    assert max(contrasts) > 50
    assert 0.05 < np.mean(np.array(contrasts) < 3) < 0.3


@pytest.mark.slow
def test_every_finding_occurs_often_enough_to_be_learned() -> None:
    seen = Counter(f.concept for i in range(200) for f in present(make_phantom(i)))
    assert min(seen[concept] for concept in CONCEPTS) >= 10


@pytest.mark.slow
def test_what_has_changed_has_changed() -> None:
    changed = Counter()
    for index in range(60):
        phantom = make_phantom(index)
        if phantom.prior is None:
            assert not any(f.change for f in phantom.truth)
            continue
        assert phantom.prior.prior is None
        assert phantom.prior.patient_key == phantom.patient_key
        before = Counter(f.concept for f in present(phantom.prior))
        for finding in phantom.truth:
            changed[finding.change] += 1
            if finding.change == "resolved":
                assert finding.presence == "absent"
            if (
                finding.change in ("larger", "smaller")
                and finding.concept in ("lung mass", "pleural effusion")
                and before[finding.concept]
            ):
                then = [
                    f.size_mm for f in present(phantom.prior) if f.concept == finding.concept and f.side == finding.side
                ]
                assert all((finding.size_mm > size) == (finding.change == "larger") for size in then)
    assert set(changed) == {"", "new", "larger", "smaller", "unchanged", "resolved"}
