"""What every builder promises, on phantoms whose truth is known."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from phantom_corpus import KINDS, build
from radfoundry.geometry import Box
from radfoundry.records import ANSWER_KINDS, TASKS


@pytest.mark.parametrize("kind", KINDS)
def test_every_sample_names_rows_that_make_its_answer_true(phantom_corpora, kind) -> None:
    corpus = phantom_corpora[kind]
    tables = ("images", "regions", "links", "findings", "sentences", "descriptions")
    columns = ("image_id", "region_id", "link_id", "finding_id", "sentence_id", "description_id")
    known = {getattr(row, c) for t, c in zip(tables, columns, strict=True) for row in corpus.rows(t)}
    samples = list(corpus.samples())
    assert samples
    for sample in samples:
        assert sample.evidence, sample
        assert set(sample.evidence) <= known
        assert set(sample.region_ids) <= known
        assert set(sample.image_ids) <= known
        assert sample.task in TASKS
        assert sample.answer_kind in ANSWER_KINDS
        assert sample.turns[-1].role == "assistant"
        assert sample.turns[-1].text


@pytest.mark.parametrize("kind", KINDS)
def test_a_corpus_keeps_splits_and_licences_and_loses_no_study(phantom_corpora, kind) -> None:
    corpus = phantom_corpora[kind]
    studies = {s.study_id: s for s in corpus.rows("studies")}
    assert {s.split for s in studies.values()} == {"train", "validation", "test"}
    assert not corpus.rows("rejected")
    splits = defaultdict(set)
    for study in studies.values():
        splits[study.patient_id].add(study.split)
        assert study.licence == "CC0-1.0"
    assert all(len(found) == 1 for found in splits.values())
    for sample in corpus.samples():
        assert sample.split == studies[sample.study_id].split


def test_boxes_and_masks_are_those_of_the_regions(phantom_corpora) -> None:
    corpus = phantom_corpora["m3d"]
    for sample in list(corpus.samples(task="rec"))[:30]:
        mask = corpus.mask(sample.region_ids[0])
        assert Box.of_mask(mask) == Box.from_flat(sample.boxes[0])


def test_presence_is_never_asked_both_ways(phantom_corpora) -> None:
    said = defaultdict(set)
    for sample in phantom_corpora["grounded-report"].samples(task="presence"):
        findings = [e for e in sample.evidence if e.startswith("fnd_")]
        if sample.answer_kind == "closed":
            assert sample.choices == ("yes", "no")
            assert len(findings) == 1 or "(silent)" in sample.made_by.by
        said[(sample.study_id, sample.turns[-2].text, sample.choices)].add(sample.turns[-1].text)
    assert said
    assert all(len(answers) == 1 for answers in said.values())


def test_region_reports_show_the_region_that_they_are_about(phantom_corpora) -> None:
    corpus = phantom_corpora["grounded-report"]
    for sample in corpus.samples(task="region-report"):
        given = [p.ref for turn in sample.turns for p in turn.parts if p.kind == "region"]
        assert given == [sample.region_ids[0]]


def test_descriptions_rest_on_measured_facts(phantom_corpora) -> None:
    corpus = phantom_corpora["description"]
    regions = {r.region_id: r for r in corpus.rows("regions")}
    dimensions = {i.image_id: i.dimensions for i in corpus.rows("images")}
    seen = set()
    for row in corpus.rows("descriptions"):
        assert row.facts
        seen.add((row.part, dimensions[row.image_id]))
        if row.part == "roi":
            region = regions[row.region_id]
            assert f"voxels={region.voxels}" in row.facts
            assert corpus.mask(row.region_id).sum() == region.voxels
    assert {("roi", 2), ("roi", 3), ("texture", 3), ("relation", 3), ("structure", 2), ("modality", 2)} <= seen


def test_conversations_interleave_two_images(phantom_corpora) -> None:
    samples = list(phantom_corpora["instruction"].samples())
    for sample in samples:
        kinds = [part.kind for turn in sample.turns for part in turn.parts]
        assert kinds.count("image") == 2
        first, second = (i for i, kind in enumerate(kinds) if kind == "image")
        assert "text" in kinds[:first]
        assert "text" in kinds[first + 1 : second]


def test_summaries_hold_no_comparison_with_an_earlier_study(phantom_corpora) -> None:
    for sample in phantom_corpora["summary"].samples():
        assert "previous" not in sample.turns[-1].text.lower()
        assert all(e.startswith("sen_") for e in sample.evidence)


def test_regions_measure_what_their_label_maps_hold(phantom_corpora) -> None:
    corpus = phantom_corpora["m3d"]
    images = {i.image_id: i for i in corpus.rows("images")}
    for region in corpus.rows("regions")[:60]:
        grid, mask = images[region.image_id].grid, corpus.mask(region.region_id)
        assert region.voxels == mask.sum()
        if grid.unit == "mm":
            assert region.mm3 == pytest.approx(mask.sum() * np.prod(grid.spacing), rel=1e-6)
        centre = grid.to_world(np.argwhere(mask).mean(axis=0))
        assert np.allclose(region.centroid, centre, atol=1e-2)


def test_sides_are_the_patients(phantom_corpora) -> None:
    corpus = phantom_corpora["m3d"]
    volumes = {i.image_id for i in corpus.rows("images") if i.dimensions == 3}
    x = {(r.image_id, r.name): r.centroid[0] for r in corpus.rows("regions") if r.image_id in volumes}
    for image_id in volumes:
        assert x[(image_id, "spleen")] > x[(image_id, "liver")]
        assert x[(image_id, "left kidney")] > x[(image_id, "right kidney")]
    sides = {r.name: r.side for r in corpus.rows("regions")}
    assert sides["left lung upper lobe"] == "left"
    assert sides["right kidney"] == "right"


def test_nothing_of_a_patients_name_is_in_a_table(phantom_corpora) -> None:
    corpus = phantom_corpora["grounded-report"]
    for study in corpus.rows("studies"):
        assert "phantom" not in study.patient_id + study.study_id


def test_a_second_build_elsewhere_gives_the_same_bytes(phantom_table, phantom_corpora, tmp_path) -> None:
    again = build("m3d", phantom_table, tmp_path / "again")
    first = phantom_corpora["m3d"].path

    def tree(root):
        files = [p for sub in ("tables", "labelmaps") for p in (root / sub).rglob("*") if p.is_file()]
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}

    assert tree(again.path) == tree(first)
