"""Cleaning: comparisons, marks and view words go, the meaning stays."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.language import clean_report, clean_sentence, left_behind

LONG = "The heart is normal in size and the lungs are clear without effusion."


@pytest.mark.parametrize(
    "sentence",
    [
        "The effusion is unchanged.",
        "Compared to the prior study, the effusion has increased.",
        "There is a new nodule.",
        "Interval removal of the tube.",
    ],
)
def test_a_sentence_that_needs_an_earlier_examination_goes(sentence: str) -> None:
    assert clean_sentence(sentence) == ""


@pytest.mark.parametrize(
    ("sentence", "cleaned"),
    [
        ("The XXXX lungs are clear.", "The lungs are clear."),
        ("PA and lateral views of the chest show clear lungs.", "Show clear lungs."),
        ("Nodule seen on ___ .", "Nodule seen."),
        ("[**Doctor 12**] was told of the nodule.", "Was told of the nodule."),
        ("XXXX.", ""),
    ],
)
def test_marks_and_view_words_go_and_the_sentence_stays(sentence: str, cleaned: str) -> None:
    assert clean_sentence(sentence) == cleaned


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("IMPRESSION: Normal chest.", "no findings"),
        (f"FINDINGS: {LONG}", "no impression"),
        ("FINDINGS: Clear lungs. IMPRESSION: Normal chest.", "findings of fewer than 10 words"),
        (f"FINDINGS: {LONG} IMPRESSION: Normal.", "impression of fewer than 2 words"),
        (f"FINDINGS: {LONG} IMPRESSION: Normal chest.", ""),
    ],
)
def test_a_report_without_enough_to_say_is_dropped_with_the_reason(text: str, why: str) -> None:
    assert clean_report(text).dropped == why


def test_xrg_t40_a_line_break_inside_a_sentence_becomes_a_space() -> None:
    """XRG-T40: taken out without a space it would join two words."""
    assert clean_sentence("The lungs are\nclear.") == "The lungs are clear."


def test_what_is_left_behind_is_shown_with_its_place() -> None:
    text = "Stable nodule since XXXX."
    assert [(left.kind, left.text) for left in left_behind(text)] == [
        ("comparison", "Stable"),
        ("comparison", "since"),
        ("mark", "XXXX"),
    ]
    assert all(text[left.start : left.end] == left.text for left in left_behind(text))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(["stable", "nodule", "XXXX", "___", "PA", "view", "the", "lung", "(", ")", ",", "prior", "of"]),
        max_size=9,
    )
)
def test_cleaning_leaves_nothing_behind_and_cleaning_again_changes_nothing(words: list[str]) -> None:
    cleaned = clean_sentence(" ".join(words))
    assert left_behind(cleaned) == ()
    assert clean_sentence(cleaned) == cleaned


def test_nothing_is_left_behind_in_real_reports(shared_data: Path) -> None:
    with (shared_data / "openi_reports/indiana_reports_nolabels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:120]
    cleaned = [clean_report(f"FINDINGS: {row['findings']}\nIMPRESSION: {row['impression']}") for row in rows]
    assert sum(not report.dropped for report in cleaned) > 50
    assert [left for report in cleaned for left in left_behind(report.text)] == []
