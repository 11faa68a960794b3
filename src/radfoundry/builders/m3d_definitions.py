"""What regions are, in words that do not name them: definitions for referring, duties for reasoning (`m3d_definitions.tsv`).

A definition is a noun phrase that says where a structure lies and how it looks; a duty says what it does ("stores urine"). Both are
unique, so that either leads to one region.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

__all__ = ["Definition", "definitions"]


class Definition(NamedTuple):
    """A row of the table; `duty` is empty where none tells the region from its neighbours."""

    region: str
    definition: str
    duty: str


@cache
def definitions() -> dict[str, Definition]:
    """Return every definition by the name of its region."""
    text = files("radfoundry.builders").joinpath("m3d_definitions.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return {r["region"]: Definition(r["region"], r["definition"], r["duty"]) for r in rows}
