"""Regions of the body as data: names, synonyms, sides, what contains what, and other vocabularies' words for them.

The tables beside this file (`regions.tsv`, `crosswalks/*.tsv`) are the source; they are read on first use and kept.
It knows no pictures and no text: plain Python, no numpy, no torch.
"""

from __future__ import annotations

from radfoundry.anatomy.crosswalk import Crosswalk, Mapping, crosswalk, vocabularies
from radfoundry.anatomy.regions import (
    Kind,
    Region,
    Side,
    ancestors,
    children,
    descendants,
    is_a,
    is_known,
    is_structure,
    mirror,
    normalise,
    region,
    regions,
    side_of,
)
from radfoundry.anatomy.summary import describe

__all__ = [
    "Region",
    "Side",
    "Kind",
    "region",
    "regions",
    "children",
    "ancestors",
    "descendants",
    "is_a",
    "is_known",
    "is_structure",
    "mirror",
    "side_of",
    "normalise",
    "Crosswalk",
    "Mapping",
    "crosswalk",
    "vocabularies",
    "describe",
]
