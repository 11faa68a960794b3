"""A sentence read once: its folded text and, when somebody asks, its clauses, places, side words and sizes."""

from __future__ import annotations

from functools import cached_property

from radfoundry.errors import LimitError
from radfoundry.geometry import Side
from radfoundry.language.context import Clause, find_clauses
from radfoundry.language.matching import Lexicon, Match, fold
from radfoundry.language.measurements import Measurement, find_measurements
from radfoundry.language.places import Place, find_sides, is_beside, places_lexicon

__all__ = ["LONGEST_READ", "Reading", "one_side"]

LONGEST_READ = 20_000


class Reading:
    """What the rules see of one sentence; characters count alike in `text` and `folded`.

    Raises: `LimitError` for a text that is no sentence but a book.
    """

    def __init__(self, text: str, lexicon: Lexicon[Place] | None = None) -> None:
        if len(text) > LONGEST_READ:
            raise LimitError(
                f"a sentence of {len(text)} characters",
                f"the rules read at most {LONGEST_READ} characters as one sentence",
                "cut it with parse_report first",
            )
        self.text = text
        self.folded = fold(text)
        self._lexicon = lexicon or places_lexicon()

    @cached_property
    def clauses(self) -> list[Clause]:
        """The clauses, which touch and cover the sentence."""
        return find_clauses(self.folded)

    @cached_property
    def places(self) -> list[Match[Place]]:
        """Every term for a region."""
        return self._lexicon.find(self.folded)

    @cached_property
    def own_places(self) -> list[Match[Place]]:
        """Terms for regions without those that something only lies beside ("nodule overlying the 6th rib")."""
        return [place for place in self.places if not is_beside(self.folded, place)]

    @cached_property
    def sides(self) -> list[Match[Side]]:
        """Every side word."""
        return find_sides(self.folded)

    @cached_property
    def sizes(self) -> tuple[Measurement, ...]:
        """Every size."""
        return find_measurements(self.text)

    def clause_at(self, start: int) -> Clause:
        """The clause that holds a character."""
        return next(clause for clause in reversed(self.clauses) if clause.start <= start)

    def clause_side(self, start: int) -> Side:
        """The side that the clause at a character speaks of, else the one that the sentence does."""
        if not self.sides:
            return "none"
        clause = self.clause_at(start)
        inside = [side for side in self.sides if clause.start <= side.start < clause.end]
        return one_side(inside or self.sides)


def one_side(sides: list[Match[Side]]) -> Side:
    """Several side words as one: left and right together are bilateral."""
    values = {side.value for side in sides}
    if {"left", "right"} <= values or "bilateral" in values:
        return "bilateral"
    return next(iter(values), "none")
