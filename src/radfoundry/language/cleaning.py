"""Cleaning a report for training (XrayGPT's rules, done by rule): what one picture cannot show is taken out.

Kept are reports with findings of at least ten words and an impression of at least two (words are what white space
separates). Taken out are sentences that compare with an earlier examination, de-identification marks, and view words.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from radfoundry.language.matching import Lexicon, fold, read_table
from radfoundry.language.report import ParsedReport, parse_report

__all__ = ["CleanReport", "LeftBehind", "clean_report", "clean_sentence", "left_behind"]

FINDINGS_WORDS = 10
IMPRESSION_WORDS = 2

_MARK = re.compile(r"_{2,}|\bX{3,}\b|\[\*\*.*?\*\*\]|\bXX/XX(?:/XX(?:XX)?)?\b")
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE = re.compile(r"\s+(?=[.,;:?!)])")
_STOPS = re.compile(r"(?:[,;]\s*)+(?=[.?!])|(?<=[.?!])[.,;]+")
_EMPTY_BRACKETS = re.compile(r"\(\s*[,;]?\s*\)")
_DANGLING = re.compile(r"\b(?:on|at|dated|from|since|of|by|with|to|and|,)\s*(?=[.?!]*$)", re.IGNORECASE)


class CleanReport(NamedTuple):
    """A cleaned report; `dropped` says why it is of no use ("no impression"), empty if it may be used."""

    findings: str
    impression: str
    dropped: str

    @property
    def text(self) -> str:
        return " ".join(part for part in (self.findings, self.impression) if part)


class LeftBehind(NamedTuple):
    """Something that cleaning should have taken out: its kind (comparison, mark, view), place and words."""

    kind: str
    start: int
    end: int
    text: str


def clean_report(text: str) -> CleanReport:
    """Take comparisons, marks and view words out of findings and impression; deterministic, and idempotent."""
    parsed = parse_report(text)
    findings, impression = _section(parsed, "findings"), _section(parsed, "impression")
    return CleanReport(findings, impression, _why_dropped(parsed, findings, impression))


def clean_sentence(sentence: str) -> str:
    """The sentence without marks and view words, or nothing if it compares with an earlier examination."""
    kept = sentence
    while (cleaned := _cleaned_once(kept)) != kept:  # what was taken out may have parted two words of one cue
        kept = cleaned
    return kept


def _cleaned_once(sentence: str) -> str:
    cues = _cues().find(fold(sentence))
    if any(cue.value == "comparison" for cue in cues):
        return ""
    kept = sentence
    for cue in reversed(cues):
        kept = kept[: cue.start] + kept[cue.end :]
    if _MARK.search(kept):
        kept = _DANGLING.sub("", _MARK.sub("", kept).strip())
    kept = _SPACE_BEFORE.sub("", _SPACES.sub(" ", _EMPTY_BRACKETS.sub("", kept)))
    kept = _STOPS.sub("", kept).strip(" ,;:-")
    return kept[0].upper() + kept[1:] if any(char.isalpha() for char in kept) else ""


def left_behind(text: str) -> tuple[LeftBehind, ...]:
    """What of an earlier examination, of de-identification or of the view is still in a text, in reading order."""
    found = [LeftBehind(cue.value, cue.start, cue.end, text[cue.start : cue.end]) for cue in _cues().find(fold(text))]
    found += [LeftBehind("mark", mark.start(), mark.end(), mark[0]) for mark in _MARK.finditer(text)]
    return tuple(sorted(found, key=lambda left: left.start))


def _section(parsed: ParsedReport, name: str) -> str:
    kept = (clean_sentence(sentence.text) for sentence in parsed.of(name))
    return " ".join(sentence if sentence[-1] in ".?!" else sentence + "." for sentence in kept if sentence)


def _why_dropped(parsed: ParsedReport, findings: str, impression: str) -> str:
    if not parsed.of("findings"):
        return "no findings"
    if not parsed.of("impression"):
        return "no impression"
    if len(findings.split()) < FINDINGS_WORDS:
        return f"findings of fewer than {FINDINGS_WORDS} words"
    if len(impression.split()) < IMPRESSION_WORDS:
        return f"impression of fewer than {IMPRESSION_WORDS} words"
    return ""


@cache
def _cues() -> Lexicon[str]:
    return Lexicon((row["term"], row["kind"]) for row in read_table("cleaning_cues.tsv"))
