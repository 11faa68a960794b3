"""The regions themselves: what `regions.tsv` says, and questions about it.

A region's parents are what it is part of, or a kind of ("left kidney" -> "kidney" -> "retroperitoneum" -> "abdomen").
A region may have several, so the table is a directed graph without cycles, not a tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, cast

from radfoundry.errors import UsageError

Side: TypeAlias = Literal["left", "right", "bilateral", "midline", "none"]
Kind: TypeAlias = Literal[
    "organ", "part", "bone", "cartilage", "joint", "vessel", "muscle", "airway", "nerve", "lymph node",
    "membrane", "space", "tissue", "zone", "group", "lesion", "device",
]  # fmt: skip
Lies: TypeAlias = Literal["left", "right", "middle", "both", ""]

TABLE = Path(__file__).with_name("regions.tsv")


@dataclass(frozen=True)
class Region:
    """One row of `regions.tsv`."""

    name: str
    parents: tuple[str, ...]
    """Names of what it is part of or a kind of."""
    side: Side
    """`left`/`right`: a member named by its side; `bilateral`: a pair or what both sides have; `midline`; `none`."""
    pair: str
    """The region of the same name on the other side; empty when there is none."""
    lies: Lies
    """Half of the body where its centre is found in most people ("spleen" -> `left`); empty where none is claimed."""
    synonyms: tuple[str, ...]
    kind: Kind
    snomed: str
    """SNOMED CT code; when the two of a pair share one code, the side has to be said beside it (a laterality modifier)."""
    radlex: str
    uberon: str
    hu_range: tuple[float, float] | None
    """Mean CT value of a right mask falls in here, with or without contrast, in Hounsfield units."""
    volume_ml_range: tuple[float, float] | None
    """Volume of the whole region in an adult, with generous margins."""

    def __str__(self) -> str:
        return self.name


def normalise(name: str) -> str:
    """Bring a name to the form that is compared: lower case, `_` as space, "kidney left" as "left kidney"."""
    words = name.lower().replace("_", " ").split()
    if len(words) > 1 and words[-1] in ("left", "right"):
        words = [words[-1], *words[:-1]]
    return " ".join(words)


@cache
def regions() -> tuple[Region, ...]:
    """All regions, in the order of the table."""
    header, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    columns = header.split("\t")
    return tuple(_from_row(dict(zip(columns, line.split("\t"), strict=True))) for line in lines)


def region(name: str | Region) -> Region:
    """Return the region with this name or synonym; case and underscores do not matter.

    Raises:
        UsageError: no region has this name; the message has the nearest ones.
    """
    if isinstance(name, Region):
        return name
    found = _by_any_name().get(normalise(name))
    if found is None:
        near = dict.fromkeys(
            _by_any_name()[word].name for word in get_close_matches(normalise(name), _by_any_name(), n=8)
        )
        raise UsageError(
            f"no region is called {name!r}",
            "it is neither a name nor a synonym in the table of regions",
            f"did you mean {', '.join(repr(word) for word in list(near)[:4])}?"
            if near
            else "see `radfoundry info anatomy`",
            code="unknown-region",
        )
    return found


def is_known(name: str | Region) -> bool:
    """Whether the table has a region of this name or synonym."""
    return isinstance(name, Region) or normalise(name) in _by_any_name()


def is_structure(name: str | Region) -> bool:
    """Whether it is a known part of the body, not a lesion, a device, or a word that the table does not know."""
    return is_known(name) and region(name).kind not in ("lesion", "device")


def children(name: str | Region) -> tuple[Region, ...]:
    """Regions that name this one as a parent, in the order of the table."""
    return _children().get(region(name).name, ())


def ancestors(name: str | Region) -> tuple[Region, ...]:
    """Everything that contains it, nearest first, each once, without itself."""
    return _walk(region(name), lambda one: (region(parent) for parent in one.parents))


def descendants(name: str | Region) -> tuple[Region, ...]:
    """Everything in it, nearest first, each once, without itself."""
    return _walk(region(name), children)


def is_a(name: str | Region, ancestor: str | Region) -> bool:
    """Whether the first is the second, part of it, or a kind of it."""
    return region(ancestor) in (region(name), *ancestors(name))


def mirror(name: str | Region) -> Region | None:
    """Swap left and right: the counterpart of a sided region, an unsided region itself.

    None when the other side has no such region (the right middle lobe, the lingula).
    """
    here = region(name)
    if here.pair:
        return region(here.pair)
    return None if here.side in ("left", "right") else here


def side_of(name: str | Region) -> Side:
    """Side that the region's name claims, the patient's left and right."""
    return region(name).side


def _from_row(row: dict[str, str]) -> Region:
    return Region(
        name=row["name"],
        parents=_split(row["parents"]),
        side=cast(Side, row["side"]),
        pair=row["pair"],
        lies=cast(Lies, row["lies"]),
        synonyms=_split(row["synonyms"]),
        kind=cast(Kind, row["kind"]),
        snomed=row["snomed"],
        radlex=row["radlex"],
        uberon=row["uberon"],
        hu_range=_range(row["hu_low"], row["hu_high"]),
        volume_ml_range=_range(row["volume_ml_low"], row["volume_ml_high"]),
    )


def _split(cell: str) -> tuple[str, ...]:
    return tuple(cell.split(";")) if cell else ()


def _range(low: str, high: str) -> tuple[float, float] | None:
    return (float(low), float(high)) if low else None


@cache
def _by_any_name() -> dict[str, Region]:
    return {normalise(name): one for one in regions() for name in (one.name, *one.synonyms)}


@cache
def _children() -> dict[str, tuple[Region, ...]]:
    found: dict[str, tuple[Region, ...]] = {}
    for one in regions():
        for parent in one.parents:
            found[parent] = (*found.get(parent, ()), one)
    return found


def _walk(start: Region, step: Callable[[Region], Iterable[Region]]) -> tuple[Region, ...]:
    """Breadth first, so that the nearest come first."""
    seen = {start.name: start}
    queue = [start]
    for here in queue:
        for one in step(here):
            if one.name not in seen:
                seen[one.name] = one
                queue.append(one)
    return tuple(queue[1:])
