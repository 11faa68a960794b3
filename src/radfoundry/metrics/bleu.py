"""BLEU (Papineni 2002) of one reference an answer; the name says which of its many variants it is."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.metric import Metric, divide
from radfoundry.metrics.tokens import mt_tokens, ngrams, shared_count

__all__ = ["Bleu", "MeanSentenceBleu", "bleu_of_counts"]


class Bleu(Metric[str, str]):
    """Corpus BLEU up to `order`-grams: counts are added over all answers, then divided; in 0..1, no smoothing.

    Tokens are mteval-v13a's (sacrebleu). An empty answer or reference adds its length and no match.
    """

    def __init__(self, order: int = 4, *, lowercase: bool = False) -> None:
        super().__init__()
        self.order, self.lowercase = order, lowercase
        self.name = f"BLEU-{order} corpus, 13a, {'uncased' if lowercase else 'cased'}, unsmoothed"

    def observe(self, prediction: str | None, reference: str) -> tuple[int, ...]:
        """Matches of each order, n-grams of each order, answer length, reference length."""
        said, true = prediction or "", reference
        lengths = [len(mt_tokens(text, self.lowercase)) for text in (said, true)]
        matches = [_matches(said, true, n, self.lowercase) for n in range(1, self.order + 1)]
        possible = [max(0, lengths[0] - n + 1) for n in range(1, self.order + 1)]
        return (*matches, *possible, *lengths)

    def statistic(self, totals: FloatArray) -> FloatArray:
        return bleu_of_counts(totals)


class MeanSentenceBleu(Bleu):
    """The mean of each answer's own BLEU, unsmoothed: 0 for an answer shorter than `order` tokens."""

    def __init__(self, order: int = 1, *, lowercase: bool = False) -> None:
        super().__init__(order, lowercase=lowercase)
        self.name = self.name.replace("corpus", "mean of sentences")

    def matrix(self) -> FloatArray:
        scores = bleu_of_counts(super().matrix())
        return np.stack([scores, np.ones_like(scores)], axis=1)

    def statistic(self, totals: FloatArray) -> FloatArray:
        return divide(totals[..., 0], totals[..., 1])


@lru_cache(maxsize=65536)
def _matches(said: str, true: str, n: int, lowercase: bool) -> int:
    """Shared n-grams of two texts, kept because BLEU-4 asks again for what BLEU-1 to 3 have counted."""
    return shared_count(ngrams(mt_tokens(said, lowercase), n), ngrams(mt_tokens(true, lowercase), n))


def bleu_of_counts(totals: FloatArray) -> FloatArray:
    """BLEU from `[..., 2 * order + 2]` matches, possible n-grams, answer length and reference length."""
    order = totals.shape[-1] // 2 - 1
    precision = np.nan_to_num(divide(totals[..., :order], totals[..., order : 2 * order]))
    length, wanted = totals[..., -2], totals[..., -1]
    shortness = np.nan_to_num(divide(wanted, length), nan=np.inf)
    brevity = np.exp(np.minimum(0.0, 1.0 - shortness))
    logs = np.log(precision, out=np.full_like(precision, -np.inf), where=precision > 0)
    return np.asarray(brevity * np.exp(logs.mean(axis=-1)))
