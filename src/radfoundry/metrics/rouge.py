"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004): the F measure of shared words, shared pairs, longest common subsequence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from radfoundry.metrics.metric import Mean
from radfoundry.metrics.stemming import stem
from radfoundry.metrics.tokens import ngrams, shared_count

__all__ = ["Rouge", "common_subsequence_length", "f_measure", "rouge_tokens"]

_TOKEN = re.compile(r"[a-z0-9]+")


class Rouge(Mean[str, str]):
    """The mean over answers of ROUGE-1, -2 or -L F, with or without Porter stems; 0 where a side is empty.

    Tokens are runs of a-z and 0-9 of the lower-cased text, as in Google's rouge-score. L is over the whole text,
    not by lines.
    """

    def __init__(self, kind: Literal["1", "2", "L"] = "L", *, stems: bool = False) -> None:
        super().__init__()
        self.kind, self.stems = kind, stems
        self.name = f"ROUGE-{kind} F, {'stemmed' if stems else 'unstemmed'}"

    def score(self, prediction: str, reference: str) -> float:
        said, true = rouge_tokens(prediction, self.stems), rouge_tokens(reference, self.stems)
        if self.kind == "L":
            return f_measure(common_subsequence_length(said, true), len(said), len(true))
        order = int(self.kind)
        shared = shared_count(ngrams(said, order), ngrams(true, order))
        return f_measure(shared, len(said) - order + 1, len(true) - order + 1)


@lru_cache(maxsize=65536)
def rouge_tokens(text: str, stems: bool) -> tuple[str, ...]:
    """Lower-case runs of letters and digits; with `stems`, words above three letters are stemmed."""
    found = _TOKEN.findall(text.lower())
    return tuple(stem(word) if len(word) > 3 else word for word in found) if stems else tuple(found)


def common_subsequence_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bit-parallel dynamic programming (Hyyrö 2004).

    A row of the table is one integer whose 0 bits mark where the length grows; a row costs a few big-integer steps.
    """
    positions: dict[str, int] = {}
    for at, token in enumerate(first):
        positions[token] = positions.get(token, 0) | 1 << at
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        matched = row & positions.get(token, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(first) - row.bit_count()


def f_measure(shared: float, predicted: float, true: float) -> float:
    """Harmonic mean of shared/predicted and shared/true; 0 where nothing is shared."""
    return 2 * shared / (predicted + true) if shared else 0.0
