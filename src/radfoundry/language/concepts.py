"""Finding words and what they mean: a normalised concept, which may depend on the place it is said of.

"Nodule" is a lung nodule, but in "left thyroid lobe with a nodule" it is a thyroid nodule (`finding_terms.tsv`).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from radfoundry.language.matching import Lexicon, Match, expand, read_table
from radfoundry.language.places import Place, region
from radfoundry.language.reading import Reading

__all__ = ["DENIED", "Concept", "FindingTerm", "concepts", "distance", "find_terms", "meant"]


DENIED = "!"
"""Before a concept in the lexicon: the term itself denies it ("heart size is normal")."""


class Concept(NamedTuple):
    """A normalised finding.

    `region` is where it lives when the text is silent, `bound` or `loose` to it (a lymph node may be elsewhere); `kind` is
    abnormality, variant, appearance (a look that a diagnosis in the same sentence explains), device or surgery.
    """

    name: str
    region: str
    bound: str
    kind: str


class Meaning(NamedTuple):
    """What a term means beside one of the regions or heads `where` (anywhere if empty), or beside `each` of them."""

    concepts: tuple[str, ...]
    where: frozenset[str]
    each: bool

    def steps_to(self, place: Place) -> int | None:
        """How far up from a place one of `where` is found: 0 the place itself, None nowhere."""
        steps = (
            step
            for one in place.regions
            for step, name in enumerate((one.name, *one.ancestors, one.head))
            if name in self.where
        )
        return min(steps, default=None)


FindingTerm = Match[tuple[Meaning, ...]]


@cache
def concepts() -> dict[str, Concept]:
    """All normalised findings by name."""
    return {
        row["concept"]: Concept(row["concept"], row["region"], row["bound"], row["kind"])
        for row in read_table("concepts.tsv")
    }


@cache
def _terms() -> Lexicon[tuple[Meaning, ...]]:
    meanings: dict[str, list[Meaning]] = {}
    for row in read_table("finding_terms.tsv"):
        where = frozenset(region(name).name for name in row["where"].removeprefix("each ").split(",") if name)
        meaning = Meaning(tuple(row["concept"].split(";")), where, row["where"].startswith("each "))
        for term in expand(row["term"]):
            meanings.setdefault(term, []).append(meaning)
    return Lexicon((term, tuple(known)) for term, known in meanings.items())


def find_terms(folded: str) -> list[FindingTerm]:
    """The finding terms of a folded sentence in reading order."""
    return _terms().find(folded)


def meant(term: FindingTerm, reading: Reading) -> tuple[str, ...]:
    """The concepts of a term: of each place in the clause for plaques and the like, else by the nearest place."""
    plain = next((meaning.concepts for meaning in term.value if not meaning.where), ())
    asked = [meaning for meaning in term.value if meaning.where]
    if not asked:
        return plain
    clause = reading.clause_at(term.start)
    inside = [place for place in reading.own_places if clause.start <= place.start < clause.end]
    each = [m for m in asked if m.each and any(m.steps_to(place.value) is not None for place in inside)]
    if each:
        return tuple(dict.fromkeys(name for meaning in each for name in meaning.concepts))
    for place in sorted(inside or reading.own_places, key=lambda place: distance(place, term)):
        fitting = [(steps, m.concepts) for m in asked if (steps := m.steps_to(place.value)) is not None]
        if fitting:
            return min(fitting)[1]
        if plain and place.value.role == "name":
            break
    return plain


def distance(one: Match, other: Match) -> int:
    """Characters between two terms; nothing where they overlap."""
    return max(one.start - other.end, other.start - one.end, 0)
