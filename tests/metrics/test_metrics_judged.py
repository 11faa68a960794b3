"""A judge's words are read strictly."""

from __future__ import annotations

import pytest

from radfoundry.metrics import JudgedErrors, JudgeScore, parse_judge_score, parse_judgement

BOTH = (
    "[Clinically Significant Errors]:\n{}\n\n[Clinically Insignificant Errors]:\n(a) x: 9. y\n\n[Matched Findings]:\n{}"
)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Score: 85.0", 85),
        ("Score: 85", 85),
        ("Score: 85.", 85),
        ("score: 70/100", 70),
        ("**Score:** 12.5%", 12.5),
        ("The score is 0.", 0),
        ("Score: 150", None),
        ("Score: 40. Later: Score: 60", None),
        ("Score: 40. Again: Score: 40.0", 40),
        ("eighty", None),
        ("", None),
    ],
)
def test_scores(text: str, score: float | None) -> None:
    assert parse_judge_score(text) == score


@pytest.mark.parametrize(
    ("errors", "matches", "read"),
    [
        ("(a) False report: 1. cyst\n(b) Missing: 2. x; y", "3. a; b; c", (3, 3)),
        ("(1) False report: 1. cyst", "1. a", (1, 1)),
        ("No errors.", "2. a; b", (2, 0)),
        ("None", "No matched findings.", (0, 0)),
        ("(a) False report: 0.", "Normal heart, normal lungs", None),
        ("Nodule missed", "2. a; b", None),
        ("", "2. a", None),
    ],
)
def test_verdicts(errors: str, matches: str, read: tuple[int, int] | None) -> None:
    assert parse_judgement(BOTH.format(errors, matches)) == read


def test_an_unreadable_verdict_is_left_out_counted_and_shown() -> None:
    metric = JudgedErrors()
    metric.update(BOTH.format("None", "2. a; b"), None)
    metric.update("I cannot say.", None)
    assert metric.result().value == 1
    assert metric.result().n == 1
    assert metric.result().note == "1 undefined; 1 unparsable"
    assert metric.unparsed == ["I cannot say."]


def test_judge_scores_are_shares_of_a_hundred() -> None:
    metric = JudgeScore()
    metric.update("Score: 80", None)
    metric.update("Score: 40.5", None)
    metric.update("no idea", None)
    assert metric.result().value == pytest.approx(0.6025)
