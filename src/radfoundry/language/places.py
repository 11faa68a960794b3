"""Words for places in the body: which region a term names, the side words around it, and what only lies beside it.

The regions themselves, their sides and what contains what come from `radfoundry.anatomy`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

from radfoundry import anatomy
from radfoundry.geometry import Side
from radfoundry.language.matching import Lexicon, Match, read_table

__all__ = ["Place", "Region", "find_sides", "head_of", "is_beside", "places_lexicon", "region"]

_BESIDE_REACH = 48
_BESIDE = re.compile(
    r"\b(?:adjacent(?: to)?|(?:vicinity|neighbou?rhood) of|neighbou?ring|near|next to|close to|behind|between|surrounding|"
    r"(?:anterior|posterior|lateral|medial)(?:ly)? to|overl(?:ying|ies|aps|apping)|project(?:s|ing)(?: \w+)?|"
    r"superimposed \w+|secondary to|due to|because of|distance to)\s(?:the |an? )?"
    r"(?:(?:left|right|both|bilateral|posterior|anterior|lateral|major|minor|\w+(?:st|nd|rd|th)|and) )*$"
)


class Region(NamedTuple):
    """A region of the anatomy with what the language rooms ask of it.

    `left` and `right` are the names of its halves (empty for a single region), `side` its own side, `ancestors` what holds
    it, nearest first, `head` the one of
    RadGenome's regions (or `others`) that it falls under.
    """

    name: str
    left: str
    right: str
    side: Side
    ancestors: tuple[str, ...]
    head: str

    @property
    def is_pair(self) -> bool:
        return bool(self.left)

    def on(self, side: Side) -> str:
        """The name with its side: `kidney` on `left` is `left kidney`; a region without halves keeps its name."""
        return (self.left if side == "left" else self.right if side == "right" else "") or self.name


class Place(NamedTuple):
    """What a term in text points at. `role`: name, part (a part or neighbour of it), container (says only where)."""

    regions: tuple[Region, ...]
    role: str


@cache
def region(name: str) -> Region:
    """The region of this name or synonym; a word that the anatomy does not know is a single region of its own."""
    if not anatomy.is_known(name):
        return Region(name, "", "", "none", (), "others")
    known = anatomy.region(name)
    above = anatomy.ancestors(known)
    heads = _heads()
    head = next((heads[one.name] for one in (known, *above) if one.name in heads), "others")
    left, right = _halves(known.name)
    return Region(known.name, left, right, known.side, tuple(one.name for one in above), head)


def _halves(name: str) -> tuple[str, str]:
    left = f"left {name}"
    if not anatomy.is_known(left) or not anatomy.region(left).pair:
        return "", ""
    return anatomy.region(left).name, anatomy.region(left).pair


@cache
def _heads() -> dict[str, str]:
    return {anatomy.region(row["region"]).name: row["head"] for row in read_table("region_heads.tsv")}


def head_of(name: str) -> str:
    """RadGenome's head region (or `others`) that a region falls under; the name of a head is its own."""
    return name if name in _heads().values() else region(name).head


@cache
def places_lexicon(more: tuple[Path, ...] = ()) -> Lexicon[Place]:
    """The terms for regions, with those of a user's folders (`region_terms.tsv` in each) last and winning."""
    rows = {row["term"]: row for row in read_table("region_terms.tsv")}
    for folder in more:
        rows |= {row["term"]: row for row in read_table(folder / "region_terms.tsv")}
    return Lexicon((term, _place(row["region"], row["role"])) for term, row in rows.items())


def _place(names: str, role: str) -> Place:
    return Place(tuple(region(name) for name in names.split(";") if name), role)


def is_beside(folded: str, place: Match[Place]) -> bool:
    """Whether the text only says what something lies next to or over ("nodule overlying the 6th rib") or comes from."""
    return _BESIDE.search(folded, max(0, place.start - _BESIDE_REACH), place.start) is not None


@cache
def _sides() -> Lexicon[Side]:
    return Lexicon((row["term"], cast(Side, row["side"])) for row in read_table("sides.tsv"))


def find_sides(folded: str) -> list[Match[Side]]:
    """Side words in a folded text; those that are part of a name ("left anterior descending") are left out."""
    return [match for match in _sides().find(folded) if match.value != "none"]
