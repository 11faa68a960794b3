"""What every linker gives: the regions a sentence speaks of, with the reason for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from radfoundry.geometry import Side

__all__ = ["Linker", "RegionMention"]


class RegionMention(NamedTuple):
    """A region that a sentence speaks of, why we think so (`terms`, `rule`) and how sure we are (0 to 1).

    `start:end` are the characters of the deciding term in the sentence; 0:0 when the region was carried over.
    """

    name: str
    side: Side
    terms: tuple[str, ...]
    rule: str
    confidence: float
    start: int
    end: int


@runtime_checkable
class Linker(Protocol):
    """Anything that names the regions of each sentence of a report."""

    def link(self, sentences: Sequence[str]) -> list[tuple[RegionMention, ...]]:
        """One tuple of mentions for each sentence of one report, in order."""
        ...
