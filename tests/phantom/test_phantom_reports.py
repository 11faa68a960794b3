"""Reports tell the truth, not all of it, and in words of their own for the test split."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from radfoundry.language import find_findings, parse_report
from radfoundry.phantom import Phantom
from radfoundry.phantom.truth import CONCEPTS, XRAY_CONCEPTS
from radfoundry.phantom.wording import read_places, read_wordings


def test_every_told_sentence_stands_in_the_findings(train: tuple[Phantom, ...], held_out: tuple[Phantom, ...]) -> None:
    for phantom in (*train, *held_out):
        for report, truth in ((phantom.report, phantom.truth), (phantom.xray_report, phantom.xray_truth)):
            findings = report.split("FINDINGS: ")[1].split("\nIMPRESSION: ")[0]
            for finding in truth:
                assert finding.mentioned == bool(finding.sentence) == bool(finding.stated)
                assert finding.sentence in findings


def test_the_report_room_finds_both_sections_and_the_same_sentences(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        parsed = parse_report(phantom.report)
        assert {"findings", "impression"} <= set(parsed.sections)
        assert [s.text for s in parsed.of("findings")] == [link.sentence for link in phantom.links]


def test_absent_findings_are_never_stated_present(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        for finding in phantom.truth:
            assert finding.stated in (("", "absent") if finding.presence == "absent" else ("", "present", "uncertain"))


def test_reports_omit_hedge_deny_and_compare(train: tuple[Phantom, ...], held_out: tuple[Phantom, ...]) -> None:
    truth = [f for p in (*train, *held_out) for f in p.truth]
    stated = [f.stated for f in truth if f.presence == "present"]
    assert 0 < stated.count("") < 0.3 * len(stated)
    assert 0 < stated.count("uncertain") < 0.4 * len(stated)
    assert [f.stated for f in truth if f.presence == "absent"].count("absent") > 100
    assert any("since" in p.report or "compared" in p.report for p in train if p.prior)


def test_no_placeholder_is_left_over(train: tuple[Phantom, ...], held_out: tuple[Phantom, ...]) -> None:
    for phantom in (*train, *held_out):
        for text in (phantom.report, phantom.xray_report):
            assert not re.search(r"[{}]|None|bilateral side|  ", text)


def test_test_reports_use_no_training_sentence(train: tuple[Phantom, ...], held_out: tuple[Phantom, ...]) -> None:
    known = {link.sentence for p in train for link in p.links}
    assert not known & {link.sentence for p in held_out for link in p.links}


@pytest.mark.parametrize("concept", CONCEPTS)
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("modality", ["CT", "XR"])
def test_every_finding_can_be_told_denied_and_hedged(concept: str, split: str, modality: str) -> None:
    if modality == "XR" and concept not in XRAY_CONCEPTS:
        return
    for presence in ("present", "uncertain"):
        assert any(
            w.concepts == (concept,) and w.presence == presence and w.split == split and w.modality in (modality, "any")
            for w in read_wordings()
        )
    assert any(concept in w.concepts and w.presence == "absent" and w.split == split for w in read_wordings())


def test_wordings_are_well_formed() -> None:
    texts = [(w.kind, w.concepts, w.presence, w.text) for w in read_wordings()]
    assert len(texts) == len(set(texts))
    for wording in read_wordings():
        assert wording.split in ("train", "test", "any")
        assert wording.modality in ("CT", "XR", "any")
        assert wording.text.endswith(".")
        fields = {name for _, name, _, _ in Formatter().parse(wording.text) if name}
        assert fields <= {"place", "Place", "side", "Side", "size", "concept"}
    assert {split for _, split in read_places()} == {"train", "test"}


def test_the_language_room_reads_nearly_all_that_is_told(
    train: tuple[Phantom, ...], held_out: tuple[Phantom, ...]
) -> None:
    told = [f for p in (*train, *held_out) for f in p.truth if f.mentioned]
    read = [any(s.concept == f.concept for s in find_findings(f.sentence)) for f in told]
    assert sum(read) >= 0.9 * len(read)


def test_links_name_the_regions_of_the_findings(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        links = {link.sentence: link for link in phantom.links}
        for finding in phantom.truth:
            if finding.mentioned and finding.presence == "present":
                assert finding.region in links[finding.sentence].regions
                assert finding.concept in links[finding.sentence].concepts
