"""Statements of a sentence: which finding, present or not, since when, on which side, how many, how large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from radfoundry.geometry import Side
from radfoundry.language.concepts import DENIED, FindingTerm, concepts
from radfoundry.language.context import is_hypothetical, presence_of, temporal_of
from radfoundry.language.measurements import Measurement
from radfoundry.language.reading import Reading
from radfoundry.records import Presence

__all__ = ["Statement", "find_findings"]

REMEMBERED = 4096
"""Report sentences come from templates: this many are kept, so that a corpus is read in constant memory."""

_NUMBERS = {"a": 1, "an": 1, "one": 1, "single": 1, "solitary": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_NO_COUNT = frozenset({"mm", "cm", "of", "few", "number", "segment", "level", "and", "or"})
_BETWEEN = 4  # "two large calcified rounded nodules": at most so many words between a number and its finding
_COUNT_REACH = 48
_MOST = 50
_NAMED_BEFORE = 8  # "5 mm nodule": a finding named before its size has to be this much nearer


@dataclass(frozen=True, slots=True)
class Statement:
    """One finding that a sentence states or denies; `start:end` are its characters in the sentence.

    `temporal` is empty, new, stable, increased, decreased, resolved, or past (said of an earlier examination only);
    `side` is the patient's: left, right, bilateral, midline or none.
    """

    concept: str
    presence: Presence
    temporal: str
    side: Side
    count: int | None
    measurements: tuple[Measurement, ...]
    start: int
    end: int


@lru_cache(REMEMBERED)
def find_findings(sentence: str) -> tuple[Statement, ...]:
    """The statements of one sentence in reading order; what is only asked for ("evaluate for pneumonia") is none."""
    reading = Reading(sentence)
    if not reading.terms:
        return ()
    owned = [(size, _owner(size, reading.terms)) for size in reading.sizes()]
    made = [statement for term in reading.terms for statement in _statements(reading, term, owned)]
    return tuple(statement for statement in _once(made) if not _explained(statement, made))


def _statements(
    reading: Reading, term: FindingTerm, owned: list[tuple[Measurement, FindingTerm]]
) -> Iterator[Statement]:
    clause = reading.clause_at(term.start)
    if is_hypothetical(clause, term.start, term.end):
        return
    presence = presence_of(clause, term.start, term.end)
    temporal = temporal_of(clause, reading.cue_kinds, presence)
    sizes = tuple(size for size, owner in owned if owner is term)
    count = _count(reading.folded, term)
    side = reading.clause_side(term.start)
    for concept in reading.meant(term):
        name, said = concept.removeprefix(DENIED), presence if concept[0] != DENIED else "absent"
        yield Statement(name, said, temporal, side, count, sizes, term.start, term.end)


def _once(made: list[Statement]) -> list[Statement]:
    """One statement a concept and place, in reading order: a term with a gap and a plain one inside it say the same.

    Of two that differ the one that does not deny is kept: "heart size larger than normal" is no normal size.
    """
    kept: list[Statement] = []
    for one in sorted(made, key=lambda statement: statement.presence == "absent"):
        if not any(one.concept == other.concept and one.start < other.end and other.start < one.end for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda statement: statement.start)


def _explained(statement: Statement, made: list[Statement]) -> bool:
    """An appearance ("density increase") that the same sentence gives a name ("compatible with sequelae")."""
    what = concepts()[statement.concept]
    return what.kind == "appearance" and any(
        other.concept != what.name and concepts()[other.concept].region == what.region for other in made
    )


def _count(folded: str, term: FindingTerm) -> int | None:
    """The first number of the few words before a finding, unless a word such as `of` stands between."""
    before = folded[max(0, term.start - _COUNT_REACH) : term.start].split(" ")
    if before.pop():  # the finding is no word of its own
        return None
    count, between = 0, 0
    for away, word in enumerate(before[: -_BETWEEN - 2 : -1]):
        number = _NUMBERS.get(word, 0) or (int(word) if word.isdecimal() and len(word) < 3 else 0)
        if number:
            count, between = number, away
        if not (word.isascii() and word.isalpha()):
            break
    if not 0 < count < _MOST or not _NO_COUNT.isdisjoint(before[len(before) - between :]):
        return None
    return count


def _owner(size: Measurement, terms: list[FindingTerm]) -> FindingTerm:
    """The finding that a size belongs to: the nearest, one named after it before one named earlier."""

    def away(term: FindingTerm) -> int:
        gap = max(size.start - term.end, term.start - size.end, 0)
        return gap if term.start >= size.end else gap + _NAMED_BEFORE

    return min(terms, key=away)
