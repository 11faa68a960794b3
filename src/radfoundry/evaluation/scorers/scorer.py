"""A scorer: a metric and how a line of the run log is put to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from radfoundry.errors import UsageError
from radfoundry.evaluation.runlog import Record
from radfoundry.metrics import Metric, parse_choice

__all__ = ["Scorer", "answer_of", "letter_of", "takes_all"]


def answer_of(record: Record) -> str | None:
    """Return the words of an answer, None where none came."""
    return None if record.error else record.answer


def letter_of(record: Record) -> str:
    """Return the letter of the right choice; the reference is its words, its letter, or both. Raises UsageError if it is none."""
    letter = None
    if record.reference in record.choices:
        letter = chr(ord("A") + record.choices.index(record.reference))
    letter = letter or parse_choice(record.reference, record.choices)
    if letter is None:
        raise UsageError(
            f"question {record.sample_id} cannot be scored",
            f"its answer {record.reference!r} is none of its choices {record.choices}",
            "",
        )
    return letter


def takes_all(record: Record) -> bool:
    """Every record counts."""
    return True


@dataclass(frozen=True)
class Scorer:
    """name: of the score; make: a fresh metric; pair: (prediction or None, reference) of a record.

    takes: whether a record is scored at all: it looks at the question and the truth alone, never at the answer, so that two models
    are scored on the same questions. keep: for what was measured when the answer came; then `pair` is not used.
    """

    name: str
    make: Callable[[], Metric[Any, Any]]
    pair: Callable[[Record], tuple[Any, Any]] = lambda record: (answer_of(record), record.reference)
    takes: Callable[[Record], bool] = takes_all
    keep: Callable[[Any, Record], None] | None = None

    def update(self, metric: Metric[Any, Any], record: Record) -> None:
        """Put a record to the metric."""
        if self.keep is not None:
            self.keep(metric, record)
            return
        prediction, reference = self.pair(record)
        metric.update(prediction, reference, patient=record.patient)
