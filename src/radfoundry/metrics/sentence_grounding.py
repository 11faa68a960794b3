"""Does a text point at what it says: for each sentence the right region, the right side, and no invented place.

Sentences of the answer are first paired with those of the reference, one to one, by how much they say the same.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from radfoundry.metrics.boxes import box_iou
from radfoundry.metrics.metric import Ratio
from radfoundry.metrics.token_overlap import token_f1

__all__ = ["GroundedSentence", "HallucinatedPlace", "Place", "RightRegion", "RightSide", "pair_sentences"]

Similarity = Callable[[str, str], float]

SIDES = frozenset({"left", "right", "bilateral"})


class Place(NamedTuple):
    """What a sentence points at: a region's name, the patient's side, and a half-open box where there is one."""

    region: str
    side: str = "none"
    box_zyx: tuple[float, ...] | None = None


class GroundedSentence(NamedTuple):
    """A sentence with the places it points at, none for a sentence about no place."""

    text: str
    places: tuple[Place, ...] = ()


class Pair(NamedTuple):
    """A sentence of the answer and its counterpart; None where there is none."""

    said: GroundedSentence | None
    true: GroundedSentence | None


def pair_sentences(
    said: Sequence[GroundedSentence],
    true: Sequence[GroundedSentence],
    similarity: Similarity = token_f1,
    at_least: float = 0.5,
) -> list[Pair]:
    """The one-to-one pairing with the largest total similarity, without pairs below `at_least`."""
    likeness = np.array([[similarity(a.text, b.text) for b in true] for a in said]).reshape(len(said), len(true))
    likeness[likeness < at_least] = 0
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    partner = {int(a): int(b) for a, b in zip(rows, columns, strict=True) if likeness[a, b] > 0}
    pairs = [Pair(sentence, true[partner[at]] if at in partner else None) for at, sentence in enumerate(said)]
    return pairs + [Pair(None, true[at]) for at in sorted(set(range(len(true))) - set(partner.values()))]


class _SentenceRate(Ratio[Sequence[GroundedSentence], Sequence[GroundedSentence]]):
    """A share over all sentences of all answers."""

    def __init__(self, similarity: Similarity = token_f1, at_least: float = 0.5) -> None:
        super().__init__()
        self.similarity, self.at_least = similarity, at_least

    def observe(
        self, prediction: Sequence[GroundedSentence] | None, reference: Sequence[GroundedSentence]
    ) -> tuple[int, int]:
        pairs = pair_sentences(prediction or (), reference, self.similarity, self.at_least)
        hits = [hit for pair in pairs for hit in self.judge(pair)]
        return sum(hits), len(hits)

    @abstractmethod
    def judge(self, pair: Pair) -> list[bool]:
        """One verdict for each thing that is counted."""


class RightRegion(_SentenceRate):
    """Of the reference sentences that point somewhere, the share whose counterpart names exactly the same regions.

    A sentence that the answer leaves out is wrong.
    """

    name = "sentences with the right region"

    def judge(self, pair: Pair) -> list[bool]:
        if pair.true is None or not pair.true.places:
            return []
        return [pair.said is not None and _regions(pair.said) == _regions(pair.true)]


class RightSide(_SentenceRate):
    """Of the reference sentences with a sided place, the share whose counterpart has the same sides for those regions.

    A region that the answer does not name has no side, and is wrong.
    """

    name = "sentences with the right side"

    def judge(self, pair: Pair) -> list[bool]:
        sided = _sides(pair.true)
        if not sided:
            return []
        said = _sides(pair.said)
        return [all(said.get(region) == sides for region, sides in sided.items())]


class HallucinatedPlace(_SentenceRate):
    """Of the places that the answer points at, the share that the reference sentence does not point at.

    A place counts as hallucinated if its sentence has no counterpart, if the counterpart does not name the region,
    or if both have boxes there and none of them overlap.
    """

    name = "hallucinated places"
    better = "lower"

    def judge(self, pair: Pair) -> list[bool]:
        if pair.said is None:
            return []
        real = pair.true.places if pair.true else ()
        return [not any(_same_place(place, other) for other in real) for place in pair.said.places]


def _same_place(said: Place, true: Place) -> bool:
    if said.region != true.region:
        return False
    return said.box_zyx is None or true.box_zyx is None or float(box_iou(said.box_zyx, true.box_zyx)) > 0


def _regions(sentence: GroundedSentence) -> set[str]:
    return {place.region for place in sentence.places}


def _sides(sentence: GroundedSentence | None) -> dict[str, set[str]]:
    """The sides of each region; left and right together are bilateral."""
    sides: dict[str, set[str]] = {}
    for place in sentence.places if sentence else ():
        if place.side in SIDES:
            sides.setdefault(place.region, set()).update(
                {"left", "right"} if place.side == "bilateral" else {place.side}
            )
    return sides
