"""What `build m3d` asks, on phantoms whose truth is known."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from radfoundry import anatomy, builders
from radfoundry.builders.grounded.statements import overlap
from radfoundry.builders.m3d_definitions import definitions
from radfoundry.builders.m3d_places import AskPlaces
from radfoundry.builders.wording import wordings
from radfoundry.corpus import Corpus
from radfoundry.records import Sample


@pytest.fixture(scope="module")
def corpus(phantom_corpora: dict[str, Corpus]) -> Corpus:
    return phantom_corpora["m3d"]


@pytest.fixture(scope="module")
def samples(corpus: Corpus) -> list[Sample]:
    return list(corpus.samples())


def _of(samples: list[Sample], task: str, kind: str = "") -> list[Sample]:
    found = [s for s in samples if s.task == task and kind in ("", s.answer_kind)]
    assert found
    return found


def test_every_type_of_m3d_is_asked(samples: list[Sample]) -> None:
    kinds = {(s.task, s.answer_kind) for s in samples}
    for task in ("abnormality", "location"):
        assert {(task, "open"), (task, "choice")} <= kinds
    assert {("plane", "choice"), ("organ", "closed"), ("organ", "choice"), ("report", "open")} <= kinds
    assert {("rec", "box"), ("reg", "open"), ("segment", "mask")} <= kinds
    assert {("refer-segment", "mask"), ("reason-segment", "mask")} <= kinds


def test_the_right_answer_is_one_of_two_to_four_options(samples: list[Sample]) -> None:
    for sample in samples:
        if sample.answer_kind == "choice":
            assert 2 <= len(set(sample.choices)) == len(sample.choices) <= 4
            assert sample.turns[-1].text in sample.choices


def test_wrong_findings_are_denied_by_the_report_and_their_ids_are_evidence(
    corpus: Corpus, samples: list[Sample]
) -> None:
    findings = {f.finding_id: f for f in corpus.rows("findings")}
    for sample in _of(samples, "abnormality", "choice"):
        said = [findings[i] for i in sample.evidence if i in findings]
        absent = {f.concept for f in said if f.presence == "absent"}
        present = {f.concept for f in said if f.presence == "present"}
        wrong = {c.lower() for c in sample.choices if c != sample.turns[-1].text}
        assert present == {sample.turns[-1].text.lower()}
        assert wrong <= absent


def test_wrong_places_hold_no_part_of_the_right_one(samples: list[Sample]) -> None:
    for sample in _of(samples, "location", "choice"):
        answer = sample.turns[-1].text.lower()
        if not anatomy.is_known(answer):
            assert sample.choices == ("Left", "Right", "Both sides")
            continue
        for wrong in (c.lower() for c in sample.choices):
            assert wrong == answer or not overlap(wrong, answer)


def test_organs_out_of_view_have_no_voxel_in_the_label_map(corpus: Corpus, samples: list[Sample]) -> None:
    names = defaultdict(set)
    for region in corpus.rows("regions"):
        names[region.image_id].add(region.name)
    for sample in _of(samples, "organ", "choice"):
        right = sample.turns[-1].text.lower()
        here = [c.lower() for c in sample.choices if c.lower() in names[sample.image_ids[0]]]
        assert here == [right]
    for task in ("rec", "segment"):
        for sample in _of(samples, task, "open"):
            absent = sample.turns[-1].text.removeprefix("There is no ").removesuffix(" in this image.")
            assert absent not in names[sample.image_ids[0]]
            assert not sample.region_ids


def test_described_structures_are_not_named_in_the_question(corpus: Corpus, samples: list[Sample]) -> None:
    names = {r.region_id: r.name for r in corpus.rows("regions")}
    for sample in [*_of(samples, "refer-segment"), *_of(samples, "reason-segment")]:
        if len(sample.evidence) == 1:
            assert names[sample.region_ids[0]] not in sample.turns[0].text.lower()
            assert names[sample.region_ids[0]] in sample.turns[-1].text


def test_the_larger_of_a_pair_is_the_larger(corpus: Corpus, samples: list[Sample]) -> None:
    voxels = {r.region_id: r.voxels for r in corpus.rows("regions")}
    compared = [s for s in _of(samples, "reason-segment") if len(s.evidence) == 2]
    assert compared
    for sample in compared:
        large, small = (voxels[i] for i in sample.evidence)
        assert large > small
        assert sample.region_ids == (sample.evidence[0],)


def test_a_lesion_of_the_report_is_the_mask_of_its_finding(corpus: Corpus, samples: list[Sample]) -> None:
    links = {k.link_id: k for k in corpus.rows("links")}
    told = [s for s in _of(samples, "refer-segment") if any(e.startswith("fnd_") for e in s.evidence)]
    assert told
    for sample in told:
        assert sample.region_ids[0] in {links[e].region_id for e in sample.evidence if e in links}


def test_what_an_image_gives_is_bounded(samples: list[Sample]) -> None:
    ask = AskPlaces()
    per_image = Counter((s.image_ids[0], s.task) for s in samples if len(s.image_ids) == 1)
    most = {
        "rec": ask.regions_per_image + 2 + 1,
        "reg": ask.regions_per_image + 2,
        "segment": ask.regions_per_image + 1,
        "refer-segment": ask.by_definition + ask.by_report,
        "reason-segment": ask.by_duty + 1,
        "organ": 3,
        "plane": 1,
        "report": 1,
        "abnormality": 4,
        "location": 9,
    }
    for (_, task), count in per_image.items():
        assert count <= most.get(task, 2)


def test_held_out_wordings_are_asked_in_the_test_split_alone(samples: list[Sample]) -> None:
    openings = {(w.task, w.question.split("$")[0]): w.held_out for w in wordings()}
    held = {key for key, value in openings.items() if value}
    seen = Counter()
    for sample in samples:
        text = sample.turns[0].text
        used = [o for t, o in openings if t == sample.task and o and text.startswith(o)]
        if used and (sample.task, max(used, key=len)) in held:
            seen[sample.split] += 1
            assert sample.split == "test", sample
    assert seen["test"] > 20


def test_boxes_of_described_structures_are_those_of_their_masks(corpus: Corpus, samples: list[Sample]) -> None:
    for sample in _of(samples, "refer-segment")[:20]:
        hits = np.argwhere(corpus.mask(sample.region_ids[0]))
        assert (*hits.min(0), *(hits.max(0) + 1)) == sample.boxes[0]


def test_chosen_regions_are_asked_about_by_name_alone(tmp_path: Path) -> None:
    narrow = builders.pipeline("m3d", tmp_path, "salt", ("heart", "left_lung"))
    asking = {step.name: dict(step.settings) for step in narrow.steps if step.name.startswith("ask-m3d")}
    assert set(asking) == {"ask-m3d-images", "ask-m3d-places"}
    places = asking["ask-m3d-places"]
    assert places["regions"] == ("heart", "left lung")
    assert [places[name] for name in ("by_definition", "by_duty", "by_report", "absent")] == [0, 0, 0, False]


def test_every_region_of_a_phantom_has_a_definition(corpus: Corpus) -> None:
    names = {r.name for r in corpus.rows("regions") if anatomy.is_structure(r.name)}
    assert names <= set(definitions())
