"""Clinical correctness: the statements a text makes, and the labels a study carries, against the true ones.

What a text states is extracted elsewhere; here sets are compared, so any extractor can be scored.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

import numpy as np

from radfoundry.errors import UsageError
from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.metric import Metric, Score, divide

__all__ = ["LabelF1", "Part", "Statement", "StatementF1", "precision_recall_f1"]

Part = Literal["precision", "recall", "f1"]


class Statement(NamedTuple):
    """That a finding is present, absent or uncertain, and on which side of the patient."""

    concept: str
    presence: str
    side: str = "none"


class StatementF1(Metric[Collection[Statement], Collection[Statement]]):
    """Micro precision, recall or F of statements; an absent finding is a statement, so a negation flip costs twice.

    With `sides`, the right finding on the wrong side is one false and one missed statement.
    """

    def __init__(self, part: Part = "f1", *, sides: bool = False) -> None:
        super().__init__()
        self.part, self.sides = part, sides
        self.name = f"statement {part}{' with sides' if sides else ''}"

    def observe(
        self, prediction: Collection[Statement] | None, reference: Collection[Statement]
    ) -> tuple[int, int, int]:
        said, true = self._facts(prediction or ()), self._facts(reference)
        return len(said & true), len(said - true), len(true - said)

    def _facts(self, statements: Collection[Statement]) -> set[Statement]:
        return {statement if self.sides else statement._replace(side="none") for statement in statements}

    def statistic(self, totals: FloatArray) -> FloatArray:
        return precision_recall_f1(totals, self.part)


class LabelF1(Metric[Collection[str], Collection[str]]):
    """Precision, recall or F of the labels a study carries, over a fixed list of labels.

    "micro" adds the counts of all labels; "macro" is the mean over labels, without those neither given nor true.
    """

    def __init__(self, labels: Sequence[str], average: Literal["micro", "macro"] = "micro", part: Part = "f1") -> None:
        super().__init__()
        self.labels, self.average, self.part = tuple(labels), average, part
        self.name = f"{average} {part} of {len(self.labels)} labels"

    def observe(self, prediction: Collection[str] | None, reference: Collection[str]) -> FloatArray:
        strangers = set(reference) - set(self.labels)
        if strangers:
            raise UsageError(
                f"unknown label {min(strangers)!r} in a reference", f"the list has {len(self.labels)} labels", ""
            )
        self.counts["labels_outside_the_list"] += len(set(prediction or ()) - set(self.labels))
        said = np.array([label in (prediction or ()) for label in self.labels])
        true = np.array([label in reference for label in self.labels])
        return np.concatenate([said & true, said & ~true, ~said & true]).astype(np.float64)

    def statistic(self, totals: FloatArray) -> FloatArray:
        by_label = totals.reshape(*totals.shape[:-1], 3, len(self.labels)).swapaxes(-1, -2)
        if self.average == "micro":
            return precision_recall_f1(by_label.sum(axis=-2), self.part)
        values = precision_recall_f1(by_label, self.part)
        return divide(np.nansum(values, axis=-1), np.isfinite(values).sum(axis=-1).astype(np.float64))

    def by_label(self) -> dict[str, Score]:
        """The score of each label alone."""
        return {label: self._only(at, label).result() for at, label in enumerate(self.labels)}

    def _only(self, at: int, label: str) -> LabelF1:
        alone = LabelF1([label], "micro", self.part)
        for row, patient in zip(self._kept, self._patients, strict=True):
            alone.keep(row[at :: len(self.labels)], patient)
        return alone


def precision_recall_f1(counts: FloatArray, part: Part) -> FloatArray:
    """From `[..., 3]` true positives, false positives and false negatives to the part asked for; NaN on 0/0."""
    right, false, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    if part == "precision":
        return divide(right, right + false)
    if part == "recall":
        return divide(right, right + missed)
    return divide(2 * right, 2 * right + false + missed)
