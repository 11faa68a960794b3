"""Medical entities of a text against those of the reference, with whatever rule says that two are the same."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

from radfoundry.metrics.findings import Part
from radfoundry.metrics.metric import Mean
from radfoundry.metrics.rouge import f_measure

__all__ = ["EntityOverlap", "same_surface"]

Matcher = Callable[[str, str], bool]


def same_surface(first: str, second: str) -> bool:
    """Equal but for case and blanks: the rule of RadBench's native score."""
    return " ".join(first.lower().split()) == " ".join(second.lower().split())


class EntityOverlap(Mean[Collection[str], Collection[str]]):
    """Mean over texts of entity precision, recall or F, each entity matched at most once (a largest matching).

    Both sets empty: left out and counted. One empty: 0. Repeating an entity does not raise the score.
    """

    def __init__(self, part: Part = "f1", matcher: Matcher = same_surface, matcher_name: str = "surface") -> None:
        super().__init__()
        self.part, self.matcher = part, matcher
        self.name = f"entity {part}, by {matcher_name}"

    def score(self, prediction: Collection[str], reference: Collection[str]) -> float | None:
        said, true = sorted(set(prediction)), sorted(set(reference))
        if not said or not true:
            return None if said == true else 0.0
        matched = self._matched(said, true)
        if self.part == "f1":
            return f_measure(matched, len(said), len(true))
        return matched / len(said if self.part == "precision" else true)

    def _matched(self, said: list[str], true: list[str]) -> int:
        same = np.array([[self.matcher(a, b) for b in true] for a in said])
        return int((maximum_bipartite_matching(sparse.csr_array(same), perm_type="column") >= 0).sum())
