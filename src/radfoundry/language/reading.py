"""A sentence read once: one pass over its folded text finds cues, finding words, places and sides."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from radfoundry.errors import LimitError
from radfoundry.geometry import Side
from radfoundry.language.concepts import FindingTerm, finding_terms
from radfoundry.language.context import Clause, cue_terms, find_clauses
from radfoundry.language.matching import Lexicon, Match, fold
from radfoundry.language.measurements import Measurement, find_measurements
from radfoundry.language.places import Place, beside_terms, is_beside, place_terms, side_terms

__all__ = ["LONGEST_READ", "Reading", "distance", "one_side", "reading_lexicon", "why_unread"]

LONGEST_READ = 20_000

_SIDES: tuple[Side, ...] = ("bilateral", "left", "right", "midline")


@cache
def reading_lexicon(folders: tuple[Path, ...] = ()) -> Lexicon[Any]:
    """All that a reading looks for, with the region terms of a user's folders."""
    return Lexicon(cue_terms(), finding_terms(), place_terms(folders), side_terms(), beside_terms())


class Reading:
    """What the rules see of one sentence; characters count alike in `text` and `folded`.

    `terms` are finding words, `places` terms for regions, `own_places` those that nothing only lies beside ("nodule overlying
    the 6th rib"), `sides` side words, all in reading order; `clauses` touch and cover the sentence.

    Raises: `LimitError` for a text that is no sentence but a book.
    """

    terms: list[FindingTerm]
    places: list[Match[Place]]

    def __init__(self, text: str, lexicon: Lexicon[Any] | None = None) -> None:
        if len(text) > LONGEST_READ:
            raise LimitError(
                f"a sentence of {len(text)} characters",
                f"the rules read at most {LONGEST_READ} characters as one sentence",
                "cut it with parse_report first",
            )
        self.text = text
        self.folded = fold(text)
        cues, self.terms, self.places, sides, beside = (lexicon or reading_lexicon()).find_each(self.folded)
        self.sides: list[Match[Side]] = [side for side in sides if side.value != "none"]
        self.own_places = self.places
        if beside:
            self.own_places = [place for place in self.places if not is_beside(self.folded, place, beside)]
        self.cue_kinds = {cue.value.kind for cue in cues}
        self.clauses = find_clauses(self.folded, cues)

    def sizes(self) -> tuple[Measurement, ...]:
        """Every size."""
        return find_measurements(self.text)

    def clause_at(self, start: int) -> Clause:
        """The clause that holds a character."""
        for clause in reversed(self.clauses):
            if clause.start <= start:
                return clause
        return self.clauses[0]

    def clause_side(self, start: int) -> Side:
        """The side that the clause at a character speaks of, else the one that the sentence does."""
        if not self.sides:
            return "none"
        clause = self.clause_at(start)
        return one_side([side for side in self.sides if clause.start <= side.start < clause.end] or self.sides)

    def meant(self, term: FindingTerm) -> tuple[str, ...]:
        """The concepts of a term: of each place in the clause for plaques and the like, else by the nearest place."""
        plain, asked, of_each = term.value
        if not asked or not self.places:
            return plain
        clause = self.clause_at(term.start)
        inside = [place for place in self.own_places if clause.start <= place.start < clause.end]
        each = [m for m in of_each if any(m.steps_to(place.value) is not None for place in inside)]
        if each:
            return tuple(dict.fromkeys(name for meaning in each for name in meaning.concepts))
        for place in sorted(inside or self.own_places, key=lambda place: distance(place, term)):
            fitting = [(steps, m.concepts) for m in asked if (steps := m.steps_to(place.value)) is not None]
            if fitting:
                return min(fitting)[1]
            if plain and place.value.role == "name":
                break
        return plain


def distance(one: Match[Any], other: Match[Any]) -> int:
    """Characters between two terms; nothing where they overlap."""
    return max(one.start - other.end, other.start - one.end, 0)


def one_side(sides: list[Match[Side]]) -> Side:
    """Several side words as one: left and right together are bilateral, "the median part of the right lobe" is right."""
    values = {side.value for side in sides}
    if {"left", "right"} <= values:
        return "bilateral"
    return next((side for side in _SIDES if side in values), "none")


def why_unread(sentence: str) -> str:
    """Why the rules can make nothing of a sentence: too long, no words, or none that the English lexicon has; empty if they can."""
    if len(sentence) > LONGEST_READ:
        return f"longer than {LONGEST_READ} characters"
    if not any(char.isalpha() for char in sentence):
        return "no words"
    if not any(reading_lexicon().find_each(fold(sentence))):
        return "none of its words is in the English lexicon"
    return ""
