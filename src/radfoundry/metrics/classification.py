"""Right or wrong: exact match, accuracy, balanced accuracy and the area under the ROC curve."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from radfoundry.metrics.answers import parse_choice, parse_closed
from radfoundry.metrics.intervals import FloatArray, IntArray
from radfoundry.metrics.metric import Mean, Metric, divide
from radfoundry.metrics.tokens import normalise_answer

__all__ = [
    "AUC",
    "Accuracy",
    "BalancedAccuracy",
    "Choice",
    "ChoiceAccuracy",
    "ClosedAccuracy",
    "ExactMatch",
    "ListMatch",
]

Parser = Callable[[str], str | None]

_SEPARATOR = re.compile(r"[,;]|\band\b", re.IGNORECASE)


class Choice(NamedTuple):
    """The right letter of a multiple-choice question, and its choices in the order A, B, ..."""

    letter: str
    choices: Sequence[str]


class ExactMatch(Mean[str, str]):
    """The share of answers that equal the reference as words: case, punctuation and articles do not count."""

    name = "exact match"

    def score(self, prediction: str, reference: str) -> float:
        return float(normalise_answer(prediction) == normalise_answer(reference))


class ListMatch(Mean[str, str]):
    """The share of answers that name the same things as the reference, in any order ("Lung, Heart" is "heart and lung")."""

    name = "list match"

    def score(self, prediction: str, reference: str) -> float:
        return float(_items(prediction) == _items(reference))


class Accuracy(Mean[str, str]):
    """The share of right labels; `parse` reads the label out of an answer, None is wrong, counted and kept."""

    name = "accuracy"

    def __init__(self, parse: Parser | None = None) -> None:
        super().__init__()
        self.parse = parse

    def score(self, prediction: str, reference: str) -> float:
        return float(_read(self, self.parse, prediction) == reference)


class ClosedAccuracy(Accuracy):
    """Accuracy of yes/no answers, read strictly; where the reference is another word ("right"), equality of words."""

    name = "closed accuracy"

    def __init__(self) -> None:
        super().__init__(parse_closed)

    def score(self, prediction: str, reference: str) -> float:
        true = parse_closed(reference)
        if true is None:
            return float(normalise_answer(prediction) == normalise_answer(reference))
        return super().score(prediction, true)


class ChoiceAccuracy(Mean[str, Choice]):
    """Accuracy of multiple-choice answers, read strictly."""

    name = "choice accuracy"

    def score(self, prediction: str, reference: Choice) -> float:
        letter = parse_choice(prediction, reference.choices)
        if letter is None:
            self.fail_to_parse(prediction)
        return float(letter == reference.letter)


class BalancedAccuracy(Metric[str, str]):
    """The mean over reference classes of the share that is right, so that always saying "no" earns 1/2, not 80 %."""

    name = "balanced accuracy"

    def __init__(self, parse: Parser | None = None) -> None:
        super().__init__()
        self.parse = parse

    def observe(self, prediction: str | None, reference: str) -> tuple[str, bool]:
        label = None if prediction is None else _read(self, self.parse, prediction)
        return reference, label == reference

    def matrix(self) -> FloatArray:
        """Samples of each class, then the right ones of each class: `[n, 2 * classes]`."""
        classes, code = np.unique([reference for reference, _ in self._kept], return_inverse=True)
        right = np.array([hit for _, hit in self._kept])
        member = np.eye(len(classes))[code]
        return np.hstack([member, member * right[:, None]])

    def statistic(self, totals: FloatArray) -> FloatArray:
        members, right = np.split(totals, 2, axis=-1)
        recall = divide(right, members)
        return divide(np.nansum(recall, axis=-1), np.isfinite(recall).sum(axis=-1).astype(np.float64))


class AUC(Metric[float, bool]):
    """Area under the ROC curve of a score for the positive class; equal scores count half (Mann-Whitney).

    Undefined without both classes. A missing score is the worst one: below all for a positive, above all for a negative.
    """

    name = "AUC"
    exchangeable = False

    def observe(self, prediction: float | None, reference: bool) -> tuple[float, bool]:
        if prediction is None or np.isnan(prediction):
            return (-np.inf if reference else np.inf), bool(reference)
        return float(prediction), bool(reference)

    def estimator(self, codes: IntArray) -> _AUCEstimator:  # type: ignore[override]
        return _AUCEstimator(self.matrix(), codes)

    def statistic(self, totals: FloatArray) -> FloatArray:
        """A single sample has no area."""
        return np.full(totals.shape[:-1], np.nan)


class _AUCEstimator:
    """The area under drawn patients; not a function of sums, so each draw weighs every sample."""

    def __init__(self, rows: FloatArray, codes: IntArray) -> None:
        order = np.argsort(rows[:, 0], kind="stable")
        self.codes, self.positive = codes[order], rows[order, 1]
        score = rows[order, 0]
        self.starts = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])

    def __call__(self, counts: FloatArray) -> FloatArray:
        weights = counts[:, self.codes]
        positive = np.add.reduceat(weights * self.positive, self.starts, axis=1)
        negative = np.add.reduceat(weights * (1 - self.positive), self.starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        return divide((positive * below).sum(1), positive.sum(1) * negative.sum(1))


def _items(text: str) -> frozenset[str]:
    """What a list names; a text of nothing but separators is one item, itself."""
    return frozenset(filter(None, map(normalise_answer, _SEPARATOR.split(text)))) or frozenset({text.strip()})


def _read(metric: Metric[str, str], parse: Parser | None, answer: str) -> str | None:
    label = answer if parse is None else parse(answer)
    if label is None:
        metric.fail_to_parse(answer)
    return label
