"""CIDEr-D (Vedantam 2015): agreement in n-grams that are rare among the references; one reference an answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.metric import Ratio
from radfoundry.metrics.tokens import ngrams, words

__all__ = ["Cider"]

ORDERS = (1, 2, 3, 4)
SIGMA = 6.0  # width of the penalty for a difference in length

Gram = tuple[str, ...]
Grams = Counter[Gram]


class Cider(Ratio[str, str]):
    """Mean CIDEr-D in 0..10, from lower-case words without stems.

    The weight of an n-gram depends on how many of *these* references hold it, so figures of different test sets
    do not compare; with fewer than two different references all weights are 0 and the score is undefined.
    The interval keeps the weights of the whole set.
    """

    name = "CIDEr-D"

    def observe(self, prediction: str | None, reference: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return words(prediction or ""), words(reference)

    def matrix(self) -> FloatArray:
        """Each sample's score and 1, or zeros where the score is undefined."""
        if len({true for _, true in self._kept}) < 2:
            return np.zeros((len(self._kept), 2))
        return np.array([(score, 1.0) for score in cider_d(self._kept)])


def cider_d(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[float]:
    """CIDEr-D of each (answer, reference) pair of token lists, weights from all references."""
    total = math.log(len(pairs))
    references = [[ngrams(true, n) for n in ORDERS] for _, true in pairs]
    seen = Counter(gram for by_order in references for grams in by_order for gram in grams)
    rarity = {gram: (total - math.log(count)) ** 2 for gram, count in seen.items()}
    return [
        10 * _similarity([ngrams(said, n) for n in ORDERS], by_order, rarity, total**2) * _length_penalty(said, true)
        for (said, true), by_order in zip(pairs, references, strict=True)
    ]


def _similarity(said: list[Grams], true: list[Grams], rarity: dict[Gram, float], unseen: float) -> float:
    """Mean over orders of the cosine of weighted counts, an answer's counts clipped to the reference's."""
    return sum(_clipped_cosine(a, b, rarity, unseen) for a, b in zip(said, true, strict=True)) / len(ORDERS)


def _clipped_cosine(said: Grams, true: Grams, rarity: dict[Gram, float], unseen: float) -> float:
    """The cosine with squared weights `rarity`; 0 at once where no n-gram is shared, which is the common case."""
    dot = sum(min(count, true[gram]) * true[gram] * rarity[gram] for gram, count in said.items() if gram in true)
    if dot == 0:
        return 0.0
    length_said = sum(count * count * rarity.get(gram, unseen) for gram, count in said.items())
    length_true = sum(count * count * rarity[gram] for gram, count in true.items())
    return dot / math.sqrt(length_said * length_true)


def _length_penalty(said: Sequence[str], true: Sequence[str]) -> float:
    return math.exp(-((len(said) - len(true)) ** 2) / (2 * SIGMA**2))
