"""Shared words of short answers: precision, recall and F, a repeated word counted as often as both say it."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from radfoundry.metrics.metric import Mean
from radfoundry.metrics.rouge import f_measure
from radfoundry.metrics.tokens import normalise_answer, shared_count

__all__ = ["TokenOverlap", "token_f1"]


class TokenOverlap(Mean[str, str]):
    """The mean over answers of token precision, recall or F; equal texts score 1 even if they are only an article."""

    def __init__(self, part: Literal["precision", "recall", "f1"] = "f1") -> None:
        super().__init__()
        self.part = part
        self.name = f"token {part}"

    def score(self, prediction: str, reference: str) -> float:
        said, true = normalise_answer(prediction).split(), normalise_answer(reference).split()
        if not said or not true:
            return float(said == true)
        shared = shared_count(Counter(said), Counter(true))
        if self.part == "f1":
            return f_measure(shared, len(said), len(true))
        return shared / len(said if self.part == "precision" else true)


def token_f1(prediction: str, reference: str) -> float:
    """Token F of two texts, 0..1."""
    return TokenOverlap().score(prediction, reference)
