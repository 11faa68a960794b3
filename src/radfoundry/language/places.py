"""Words for places in the body: which region a term names, the side words around it, and what only lies beside it.

The regions themselves, their sides and what contains what come from `radfoundry.anatomy`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

from radfoundry import anatomy
from radfoundry.geometry import Side
from radfoundry.language.matching import Match, read_table

__all__ = ["Place", "Region", "beside_terms", "head_of", "is_beside", "place_terms", "region", "side_terms"]

_BESIDE_REACH = 40
_ADJECTIVES = (
    r"\s(?:the |an? )?"
    r"(?:(?:left|right|both|bilateral|posterior|anterior|lateral|major|minor|\w+(?:st|nd|rd|th)|and) )*"
)
_LEADS = re.compile(_ADJECTIVES)
_LEADS_AFTER_WORD = re.compile(rf"(?: \w+)?{_ADJECTIVES}")


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
    """What a term in text points at. `role`: name, part (a part or neighbour of it), container (says only where).

    `steps_up` counts the steps to what holds the place: 0 for itself, then its ancestors, then its head.
    """

    regions: tuple[Region, ...]
    role: str
    steps_up: dict[str, int]


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


def place_terms(more: tuple[Path, ...] = ()) -> Iterator[tuple[str, Place]]:
    """The terms for regions, with those of a user's folders (`region_terms.tsv` in each) last and winning."""
    rows = {row["term"]: row for row in read_table("region_terms.tsv")}
    for folder in more:
        rows |= {row["term"]: row for row in read_table(folder / "region_terms.tsv")}
    return ((term, _place(row["region"], row["role"])) for term, row in rows.items())


def _place(names: str, role: str) -> Place:
    regions = tuple(region(name) for name in names.split(";") if name)
    above = [(name, steps) for one in regions for steps, name in enumerate((one.name, *one.ancestors, one.head))]
    return Place(regions, role, dict(sorted(above, key=lambda item: -item[1])))


def side_terms() -> Iterator[tuple[str, Side]]:
    """Side words; those that are part of a name ("left anterior descending") say `none`."""
    return ((row["term"], cast(Side, row["side"])) for row in read_table("sides.tsv"))


def beside_terms() -> Iterator[tuple[str, str]]:
    """Words after which a place only says what something lies next to, over or comes from."""
    return ((row["term"], row["then"]) for row in read_table("beside_cues.tsv"))


def is_beside(folded: str, place: Match[Place], cues: list[Match[str]]) -> bool:
    """Whether one of the words for it leads to this place, with nothing but an article and adjectives between."""
    return bool(cues) and any(
        cue.end < place.start <= cue.end + _BESIDE_REACH
        and (_LEADS if cue.value != "word" else _LEADS_AFTER_WORD).fullmatch(folded, cue.end, place.start)
        for cue in cues
    )
