"""METEOR (Banerjee and Lavie 2005) with its exact and stem stages; no synonyms, so no dictionary is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from radfoundry.metrics.metric import Mean
from radfoundry.metrics.stemming import stem
from radfoundry.metrics.tokens import mt_tokens

__all__ = ["Meteor", "meteor"]

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5  # weight of precision, shape and height of the fragmentation penalty


class Meteor(Mean[str, str]):
    """The mean over answers of METEOR, exact then stem matches, alpha 0.9, beta 3, gamma 0.5; lower-case 13a tokens.

    Not comparable with figures that include WordNet synonyms, which are a little higher.
    """

    name = "METEOR exact+stem"

    def score(self, prediction: str, reference: str) -> float:
        return meteor(mt_tokens(prediction), mt_tokens(reference))


def meteor(said: Sequence[str], true: Sequence[str]) -> float:
    """METEOR of two token lists; 0 where nothing matches."""
    pairs = _align(said, true)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(said), len(pairs) / len(true)
    mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
    chunks = 1 + sum((after[0] - before[0], after[1] - before[1]) != (1, 1) for before, after in pairwise(pairs))
    return float(mean * (1 - GAMMA * (chunks / len(pairs)) ** BETA))


def _align(said: Sequence[str], true: Sequence[str]) -> list[tuple[int, int]]:
    """One-to-one pairs of positions, equal words first, then equal stems; later occurrences pair with later ones."""
    left_said, left_true = list(range(len(said))), list(range(len(true)))
    pairs: list[tuple[int, int]] = []
    for form in (_itself, stem):
        pairs += _pair_up(said, true, left_said, left_true, form)
        taken_said, taken_true = {a for a, _ in pairs}, {b for _, b in pairs}
        left_said = [at for at in left_said if at not in taken_said]
        left_true = [at for at in left_true if at not in taken_true]
    return sorted(pairs)


def _pair_up(
    said: Sequence[str], true: Sequence[str], at_said: list[int], at_true: list[int], form: Callable[[str], str]
) -> list[tuple[int, int]]:
    places: dict[str, list[int]] = {}
    for at in at_true:
        places.setdefault(form(true[at]), []).append(at)
    return [(at, places[key].pop()) for at in reversed(at_said) if places.get(key := form(said[at]))]


def _itself(word: str) -> str:
    return word
