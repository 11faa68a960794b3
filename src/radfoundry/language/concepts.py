"""Finding words and what they mean: a normalised concept, which may depend on the place it is said of.

"Nodule" is a lung nodule, but in "left thyroid lobe with a nodule" it is a thyroid nodule (`finding_terms.tsv`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from radfoundry.language.matching import Match, expand, read_table
from radfoundry.language.places import Place, region

__all__ = ["DENIED", "Concept", "FindingTerm", "Meanings", "concepts", "finding_terms"]


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
        return min((steps for name, steps in place.steps_up.items() if name in self.where), default=None)


class Meanings(NamedTuple):
    """All that a term may mean: the concepts it stands for anywhere, and what it means beside some places, or beside each."""

    plain: tuple[str, ...]
    asked: tuple[Meaning, ...]
    of_each: tuple[Meaning, ...]


FindingTerm = Match[Meanings]


@cache
def concepts() -> dict[str, Concept]:
    """All normalised findings by name."""
    return {
        row["concept"]: Concept(row["concept"], row["region"], row["bound"], row["kind"])
        for row in read_table("concepts.tsv")
    }


def finding_terms() -> Iterator[tuple[str, Meanings]]:
    """The entries of the lexicon of findings: a term and all that it may mean."""
    meanings: dict[str, list[Meaning]] = {}
    for row in read_table("finding_terms.tsv"):
        where = frozenset(region(name).name for name in row["where"].removeprefix("each ").split(",") if name)
        meaning = Meaning(tuple(row["concept"].split(";")), where, row["where"].startswith("each "))
        for term in expand(row["term"]):
            meanings.setdefault(term, []).append(meaning)
    for term, known in meanings.items():
        plain = next((meaning.concepts for meaning in known if not meaning.where), ())
        asked = tuple(meaning for meaning in known if meaning.where)
        yield term, Meanings(plain, asked, tuple(meaning for meaning in asked if meaning.each))
