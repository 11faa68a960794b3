"""An optional linker trained on a user's own labelled reports: a logistic model on words and on what our rules say.

Worth having from about a hundred reports on. It learns the habits of whoever labelled (RadGenome's, a hospital's), needs
numpy and scipy alone, and is kept as two readable files: `linker.npz` (weights) and `linker.json` (features, regions).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.grounding.compat_mapping import find_cues
from radfoundry.grounding.linker import RuleLinker
from radfoundry.grounding.mention import Linker, RegionMention
from radfoundry.language.matching import fold

__all__ = ["LabelledReport", "TrainedLinker", "train_linker"]

FORMAT = 1
LONGEST_NGRAM = 3
RAREST_FEATURE = 2
RIDGES = {"word": 20.0, "whole": 5.0, "cues": 1.0, "rule": 0.5}
"""Strength of the L2 penalty by kind of feature: what the rules say is believed before a chance word (chosen on dev)."""
THRESHOLD = 0.46
"""The probability from which a region is given: about half of the F1 in reach, where F1 is largest (Lipton 2014)."""

_WORD = re.compile(r"[^\W\d]+|\d")


class LabelledReport(NamedTuple):
    """Sentences of a report in order, the regions of each, and regions that nobody judged in this report."""

    sentences: tuple[str, ...]
    regions: tuple[frozenset[str], ...]
    unknown: frozenset[str] = frozenset()


class TrainedLinker:
    """A `Linker` with learned weights; `base` gives features and may be any other linker."""

    def __init__(
        self, regions: Sequence[str], features: Sequence[str], weights: NDArray[np.float32], base: Linker
    ) -> None:
        self.regions = tuple(regions)
        self._index = {feature: column for column, feature in enumerate(features)}
        self._weights = weights
        self._base = base

    def link(self, sentences: Sequence[str]) -> list[tuple[RegionMention, ...]]:
        """One tuple of mentions for each sentence of one report; a mention's term is the n-gram that spoke loudest for it."""
        if not sentences:
            return []
        rows = _report_features(sentences, self._base)
        chances = expit(_matrix(rows, self._index) @ self._weights)
        return [
            tuple(self._mention(sentence, row, int(r), float(chance[r])) for r in np.flatnonzero(chance >= THRESHOLD))
            for sentence, row, chance in zip(sentences, rows, chances, strict=True)
        ]

    def _mention(self, sentence: str, row: list[str], region: int, chance: float) -> RegionMention:
        own = [feature for feature in row if feature.startswith("word ") and feature in self._index]
        loudest = max(own, key=lambda feature: self._weights[self._index[feature], region], default="word ")[5:]
        found = re.search(r"\W+".join(map(re.escape, loudest.split())), sentence, re.IGNORECASE) if loudest else None
        start, end = found.span() if found else (0, 0)
        return RegionMention(
            self.regions[region], "none", (sentence[start:end],) if found else (), "trained", chance, start, end
        )

    def save(self, folder: str | Path) -> None:
        """Write `linker.npz` and `linker.json`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / "linker.npz", weights=self._weights)
        facts = {"format": FORMAT, "regions": self.regions, "features": list(self._index)}
        (folder / "linker.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, base: Linker | None = None) -> TrainedLinker:
        """Read what `save` wrote; `base` must be the linker it was trained with (the compat rules by default).

        Raises: `UnreadableError` when the files are missing or do not fit each other.
        """
        folder = Path(folder)
        try:
            facts: dict[str, Any] = json.loads((folder / "linker.json").read_text(encoding="utf-8"))
            with np.load(folder / "linker.npz", allow_pickle=False) as stored:
                weights = stored["weights"]
            if facts["format"] != FORMAT or weights.shape != (len(facts["features"]) + 1, len(facts["regions"])):
                raise ValueError("format and shape")
        except (OSError, ValueError, KeyError) as error:
            raise UnreadableError(
                f"no trained linker in {folder}", str(error), "train one again and save it there"
            ) from error
        return cls(facts["regions"], facts["features"], weights, base or RuleLinker("compat"))


def train_linker(reports: Sequence[LabelledReport], base: Linker | None = None) -> TrainedLinker:
    """Fit one ridge logistic regression a region; deterministic; minutes for ten thousand sentences.

    Raises: `UsageError` without a report that has a region.
    """
    base = base or RuleLinker("compat")
    regions = sorted({name for report in reports for names in report.regions for name in names})
    if not regions:
        raise UsageError("nothing to learn from", "no sentence of these reports has a region", "give labelled reports")
    rows = [row for report in reports for row in _report_features(report.sentences, base)]
    seen = Counter(feature for row in rows for feature in set(row))
    features = sorted(feature for feature, count in seen.items() if count >= RAREST_FEATURE)
    design = _matrix(rows, {feature: column for column, feature in enumerate(features)})
    truth = np.array(
        [[name in names for name in regions] for report in reports for names in report.regions], dtype=float
    )
    judged = np.array([[name not in report.unknown for name in regions] for report in reports for _ in report.regions])
    ridge = np.array([RIDGES[feature.partition(" ")[0]] for feature in features] + [0.0])  # the intercept is free
    columns = [_fit(design[judged[:, r]], truth[judged[:, r], r], ridge) for r in range(len(regions))]
    return TrainedLinker(regions, features, np.stack(columns, axis=1).astype(np.float32), base)


def _fit(design: csr_matrix, truth: NDArray[np.float64], ridge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that minimise the logistic loss plus the ridge."""
    transposed = design.T.tocsr()

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = design @ weights
        value = np.logaddexp(0, scores).sum() - truth @ scores + 0.5 * (ridge * weights * weights).sum()
        return float(value), transposed @ (expit(scores) - truth) + ridge * weights

    return minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x


def _matrix(rows: Sequence[list[str]], index: dict[str, int]) -> csr_matrix:
    """Sparse 0/1 rows with a column of ones at the end; features that were never learned are left out."""
    columns = [[*sorted({index[feature] for feature in row if feature in index}), len(index)] for row in rows]
    lengths = np.array([0, *map(len, columns)]).cumsum()
    flat = np.fromiter((column for row in columns for column in row), dtype=np.int64, count=int(lengths[-1]))
    return csr_matrix((np.ones(len(flat)), flat, lengths), shape=(len(rows), len(index) + 1))


def _report_features(sentences: Sequence[str], base: Linker) -> list[list[str]]:
    """Features of each sentence, named "kind value": n-grams, the whole text, cue words, what the base linker says.

    Words of the neighbouring sentences were tried and made it worse on other patients.
    """
    rows = []
    for sentence, mentions in zip(sentences, base.link(sentences), strict=True):
        words = _WORD.findall(fold(sentence))
        names = [mention.name for mention in mentions]
        cues = sorted(find_cues(sentence))
        row = [f"word {gram}" for gram in _ngrams(words)] + [f"whole {' '.join(words)}"]
        row += [f"cues {cue}" for cue in cues] + [f"cues {'+'.join(cues)}"]
        row += [f"rule {mentions[0].rule if mentions else 'none'}", f"rule set {'+'.join(names)}"]
        row += [f"rule region {name}" for name in names]
        rows.append(row)
    return rows


def _ngrams(words: Sequence[str]) -> Iterator[str]:
    for length in range(1, LONGEST_NGRAM + 1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])
