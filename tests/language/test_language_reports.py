"""Sections and sentences: every character has its place, no stop of a number or a bracket splits."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.language import parse_report
from radfoundry.language.sentences import LONGEST_SENTENCE

REPORT = """EXAM: Chest PA and lateral
INDICATION: Cough.
COMPARISON: None.
FINDINGS: The heart is normal. There is a 4.6 mm nodule (series 2, image 40).
IMPRESSION: 1. Small nodule. 2. No acute disease."""


def texts(report: str, section: str = "findings") -> list[str]:
    return [sentence.text for sentence in parse_report(report).of(section)]


def test_sections_are_found_by_their_headers() -> None:
    sections = parse_report(REPORT).sections
    assert list(sections) == ["technique", "history", "comparison", "findings", "impression"]
    assert REPORT[slice(*sections["history"])].strip() == "Cough."


def test_text_before_any_header_counts_as_findings() -> None:
    assert texts("The lungs are clear.\nIMPRESSION: Normal.") == ["The lungs are clear."]


def test_headers_on_one_line_and_alone_on_a_line_are_headers() -> None:
    assert texts("FINDINGS: Clear lungs. IMPRESSION: Normal.", "impression") == ["Normal."]
    assert texts("Findings\nClear lungs.\nImpression\nNormal.", "impression") == ["Normal."]


def test_a_word_of_a_sentence_is_no_header() -> None:
    assert list(parse_report("The findings were compared. History of cough was told.").sections) == ["findings"]


def test_list_numbers_are_no_sentences_of_their_own() -> None:
    assert texts(REPORT, "impression") == ["Small nodule.", "No acute disease."]


def test_rg_t15_decimals_and_questions_in_brackets_stay_whole_and_a_lone_stop_is_dropped() -> None:
    """RG-T15."""
    text = "A nodule (4.6 mm). Mosaic pattern (small airway disease?, small vessel disease?). When seen; it is old. . Ca. 5 mm cyst."
    assert texts(text) == [
        "A nodule (4.6 mm).",
        "Mosaic pattern (small airway disease?, small vessel disease?).",
        "When seen; it is old.",
        "Ca. 5 mm cyst.",
    ]


def test_a_bracket_that_never_closes_does_not_swallow_the_report() -> None:
    assert texts("A nodule (5 mm. Clear lungs.") == ["A nodule (5 mm.", "Clear lungs."]


def test_what_runs_on_without_a_stop_is_cut_at_a_space() -> None:
    parts = texts("lung " * 3000)
    assert max(map(len, parts)) <= LONGEST_SENTENCE
    assert "".join(parts).count("lung") == 3000


def test_an_empty_report_has_neither_sections_nor_sentences() -> None:
    for empty in ("", " \n\t ", ".", "\x00\x01"):
        assert parse_report(empty).sentences == ()


@settings(deadline=None, max_examples=60)
@given(st.text("aA 1.?!():\n\r\x00-IMPRESSION", max_size=200))
def test_a_sentence_is_the_text_at_its_place_and_nothing_with_a_letter_is_lost(report: str) -> None:
    parsed = parse_report(report)
    taken = set()
    for number, sentence in enumerate(parsed.sentences):
        assert sentence.index == number
        assert sentence.text == report[sentence.start : sentence.end]
        assert taken.isdisjoint(range(sentence.start, sentence.end))
        taken |= set(range(sentence.start, sentence.end))


def test_real_findings_split_as_radgenome_split_them(shared_data: Path) -> None:
    with (shared_data / "radgenome/sentences_dev.csv").open(encoding="utf-8", newline="") as file:
        published: dict[str, list[str]] = {}
        for row in csv.DictReader(file):
            published.setdefault(row["volume"].removesuffix("_1.nii.gz"), []).append(row["sentence"])
    with (shared_data / "ctrate/reports_valid_dev.csv").open(encoding="utf-8", newline="") as file:
        studies = {row["study"]: row["Findings_EN"] for row in csv.DictReader(file) if row["study"] in published}
    same = [[s for s in published[study] if any(map(str.isalnum, s))] == texts(text) for study, text in studies.items()]
    if not same:
        pytest.fail("no study is in both files")
    assert sum(same) / len(same) > 0.95  # they cut "(small airway disease? small vessel disease?)" in two
