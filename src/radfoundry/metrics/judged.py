"""Scores that a language model gives as a judge: its words are read strictly, and what cannot be read is left out.

The judge's failure is not the model's: an unreadable verdict is counted and kept to be looked at, never taken as 0.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from radfoundry.metrics.metric import Mean

__all__ = ["JudgeScore", "JudgedErrors", "Judgement", "parse_judge_score", "parse_judgement"]

_SCORE = re.compile(r"\bscore\b\W{0,6}(?:is\s+)?(\d+(?:\.\d+)?)(?:\s*/\s*100|\s*%)?", re.IGNORECASE)
_HEADING = re.compile(r"^[ \t]*\[([A-Z][A-Za-z ]+)\][ \t]*:", re.MULTILINE)
_ERROR_COUNT = re.compile(r"^[ \t]*\((?:[a-f]|[1-6])\)[^\n]*?:\s*(\d+)\b", re.MULTILINE)
_MATCH_COUNT = re.compile(r"\s*(\d+)\s*[.:]")
_NOTHING = re.compile(r"\s*(?:no|none|0)\b", re.IGNORECASE)


class Judgement(NamedTuple):
    """What a judge of reports found: findings that match, and clinically significant errors."""

    matched: int
    errors: int


def parse_judge_score(text: str) -> float | None:
    """The one number from 0 to 100 after the word "score", with or without decimals; None if none or several differ."""
    found = {float(number) for number in _SCORE.findall(text)}
    return found.pop() if len(found) == 1 and max(found) <= 100 else None


def parse_judgement(text: str) -> Judgement | None:
    """Counts from a verdict in the layout of GREEN; None unless both sections are there and can be read.

    "No" and "None" as whole words mean zero; "Normal" and "Nodule" do not.
    """
    parts = _HEADING.split(text)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    errors = _count_errors(sections.get("Clinically Significant Errors", ""))
    matched = _count_matches(sections.get("Matched Findings", ""))
    return None if errors is None or matched is None else Judgement(matched, errors)


class JudgedErrors(Mean[str, None]):
    """The mean of matched / (matched + significant errors) over verdicts; with neither it is undefined, and counted.

    Update with the judge's text; there is no reference.
    """

    name = "judged errors (GREEN's formula)"
    worst = None

    def score(self, prediction: str, reference: None) -> float | None:
        verdict = parse_judgement(prediction)
        if verdict is None:
            self.fail_to_parse(prediction)
            return None
        total = verdict.matched + verdict.errors
        return verdict.matched / total if total else None


class JudgeScore(Mean[str, None]):
    """The mean of a judge's scores as a share of 100. Update with the judge's text; there is no reference."""

    name = "judge score"
    worst = None

    def score(self, prediction: str, reference: None) -> float | None:
        value = parse_judge_score(prediction)
        if value is None:
            self.fail_to_parse(prediction)
            return None
        return value / 100


def _count_errors(body: str) -> int | None:
    counts = [int(number) for number in _ERROR_COUNT.findall(body)]
    if counts:
        return sum(counts)
    return 0 if _NOTHING.match(body) else None


def _count_matches(body: str) -> int | None:
    number = _MATCH_COUNT.match(body)
    if number:
        return int(number.group(1))
    return 0 if _NOTHING.match(body) else None
