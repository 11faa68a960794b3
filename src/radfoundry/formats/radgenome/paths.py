"""RadGenome's region paths ("lung/lung/left lung"): which there are, which hold which, and which one a region of ours goes to."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from radfoundry import anatomy
from radfoundry.language.places import head_of as head_of_region

__all__ = [
    "HEADS", "NO_FINDINGS", "WHOLE_SCAN",
    "ancestors_of", "every_path", "head_of", "node_of", "paths_of_region", "region_of_path", "twins_of", "with_ancestors",
]  # fmt: skip

WHOLE_SCAN = ""
"""The `Anatomy` of a row that speaks of the whole volume."""
NO_FINDINGS = "no findings"
HEADS = (
    "lung", "trachea and bronchie", "mediastinum", "heart", "esophagus", "pleura", "bone", "thyroid", "breast", "abdomen", "others",
)  # fmt: skip

_ABDOMINAL_AORTA = "abdomen/abdomen/aorta"


def head_of(path: str) -> str:
    """Return the first part of a path: one of the eleven heads."""
    return path.split("/", 1)[0]


def node_of(path: str) -> str:
    """Return the last part of a path, by which its mask file is called."""
    return path.rsplit("/", 1)[-1]


def ancestors_of(path: str) -> tuple[str, ...]:
    """Return the paths that hold a path, the head first, itself left out."""
    parts = path.split("/")
    return tuple("/".join(parts[:n]) for n in range(1, len(parts)))


def with_ancestors(paths: Iterable[str]) -> set[str]:
    """Return paths with everything that holds them: in the published tables an ancestor of a row is always there."""
    return {each for path in paths for each in (*ancestors_of(path), path)}


@cache
def every_path() -> tuple[str, ...]:
    """Return the 174 published paths in the order of the crosswalk."""
    return tuple(row.value for row in anatomy.crosswalk("radgenome_paths").mappings)


@cache
def twins_of(path: str) -> tuple[str, ...]:
    """Return the other paths to the same node, whose published rows are identical: side-lobes, numbered ribs, the aorta."""
    same = [other for other in every_path() if node_of(other) == node_of(path) and other != path]
    return tuple(other for other in same if other not in ancestors_of(path) and path not in ancestors_of(other))


def region_of_path(path: str) -> str:
    """Return our name of the region at a path, or the path's node as it is where it is no published one."""
    return anatomy.crosswalk("radgenome_paths").region_of(path).name if path in every_path() else node_of(path)


@cache
def paths_of_region(name: str, *, as_published: bool = False) -> frozenset[str]:
    """Return the paths at which rows about a region stand, their ancestors included.

    A region without a path of its own stands at the nearest thing that has one and is under the same head. as_published: the aorta
    is in the mediastinum and in the abdomen, whatever part is meant, and the middle lobe is lost to the right lung.
    """
    return frozenset(
        with_ancestors(_own_paths(anatomy.region(name).name if anatomy.is_known(name) else name, as_published))
    )


def _own_paths(name: str, as_published: bool) -> set[str]:
    if as_published and name == "right lung middle lobe":
        return {"lung/lung/right lung"}
    own = _nearest(name)
    if own.isdisjoint(twins := {_ABDOMINAL_AORTA, *twins_of(_ABDOMINAL_AORTA)}):
        return own
    if as_published:
        return own | twins
    in_abdomen = name != "aorta" and head_of_region(name) == "abdomen"
    return {path for path in own | twins if (head_of(path) == "abdomen") == in_abdomen}


def _nearest(name: str) -> set[str]:
    if name in _by_region():
        return set(_by_region()[name])
    if name in _special():
        return {_special()[name]}
    head = head_of_region(name) if anatomy.is_known(name) else "others"
    for above in anatomy.ancestors(name) if anatomy.is_known(name) else ():
        if above.name in _special() and head_of(_special()[above.name]) == head:
            return {_special()[above.name]}
        found = {path for path in _by_region().get(above.name, ()) if head_of(path) == head}
        if found:
            return found
    return {f"{head}/{head}" if f"{head}/{head}" in every_path() else head}


@cache
def _by_region() -> dict[str, tuple[str, ...]]:
    rows: dict[str, list[str]] = {}
    for row in anatomy.crosswalk("radgenome_paths").mappings:
        if row.relation != "broader":
            rows.setdefault(row.region.name, []).append(row.value)
    return {name: tuple(values) for name, values in rows.items()}


@cache
def _special() -> dict[str, str]:
    """Regions that the published tables file under a neighbour (`nearest_paths.tsv`)."""
    text = Path(__file__).with_name("nearest_paths.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader((line for line in text.splitlines() if not line.startswith("#")), delimiter="\t")
    return {row["region"]: row["path"] for row in rows}
