"""BERTScore (Zhang 2020): greedy matching of token vectors, from any embedder that is handed in.

It rewards a negation flip almost like the truth, so it never stands alone beside a finding score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.metric import Ratio

__all__ = ["BertScore", "Embedder"]


class Embedder(Protocol):
    """Whatever turns texts into token vectors; `name` goes into the score's name."""

    name: str

    def embed(self, texts: Sequence[str]) -> Sequence[FloatArray]:
        """For each text its token vectors `[tokens, dim]`, without the special tokens at the ends."""
        ...


class BertScore(Ratio[str, str]):
    """Mean precision, recall or F of best cosines; no rarity weights, no rescaling to a baseline; 0 for empty text."""

    def __init__(self, embedder: Embedder, part: Literal["precision", "recall", "f1"] = "f1") -> None:
        super().__init__()
        self.embedder, self.part = embedder, part
        self.name = f"BERTScore {part}, {embedder.name}"

    def observe(self, prediction: str | None, reference: str) -> tuple[str, str]:
        return prediction or "", reference

    def matrix(self) -> FloatArray:
        """Embeds every different text once, then scores: `[n, 2]`."""
        texts = sorted({text for pair in self._kept for text in pair if text.strip()})
        vectors = {text: _unit(rows) for text, rows in zip(texts, self.embedder.embed(texts), strict=True)}
        nothing = np.empty((0, 1))
        return np.array([(self._score(vectors.get(a, nothing), vectors.get(b, nothing)), 1.0) for a, b in self._kept])

    def _score(self, said: FloatArray, true: FloatArray) -> float:
        if not len(said) or not len(true):
            return 0.0
        cosines = said @ true.T
        precision, recall = float(cosines.max(1).mean()), float(cosines.max(0).mean())
        f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
        return {"precision": precision, "recall": recall, "f1": f1}[self.part]


def _unit(rows: FloatArray) -> FloatArray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)
