"""One name for one thing: what a label file, a lexicon or a person calls a region, in the project's words."""

from __future__ import annotations

from functools import lru_cache

from radfoundry import anatomy
from radfoundry.language import concepts, find_findings

__all__ = ["region_name", "same_thing"]


@lru_cache(maxsize=4096)
def region_name(name: str) -> str:
    """Return the anatomy's name of a structure, the concept of a lesion, or the name as it is in lower case where neither knows it."""
    if anatomy.is_structure(name):
        return anatomy.region(name).name
    plain = " ".join(name.replace("_", " ").lower().split())
    if plain in concepts():
        return plain
    told = find_findings(plain)
    return told[0].concept if len(told) == 1 else plain


def same_thing(concept: str, name: str) -> bool:
    """Say whether a finding's concept and a region's name mean one thing: equal, or one adds a place ("lung mass", "mass")."""
    return concept == name or concept.endswith(f" {name}") or name.endswith(f" {concept}")
