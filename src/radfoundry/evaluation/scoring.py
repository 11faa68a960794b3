"""From a run log to scores: the metrics of each task, each beside its blind controls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from radfoundry.evaluation.runlog import Record
from radfoundry.metrics import (
    Accuracy,
    BalancedAccuracy,
    BoxIoU,
    Choice,
    ChoiceAccuracy,
    Dice,
    ExactMatch,
    Metric,
    Overlap,
    Score,
    parse_closed,
)

__all__ = ["TaskScore", "metrics_of", "score_run"]

ASKED = "asked"


@dataclass(frozen=True)
class TaskScore:
    """A score of the questions as asked, and of each blind control."""

    name: str
    score: Score
    blind: dict[str, Score]

    @property
    def best_blind(self) -> float | None:
        """The highest blind score: what the real one has to beat."""
        values = [s.value for s in self.blind.values() if s.value is not None]
        return max(values) if values else None


def metrics_of(records: Sequence[Record]) -> dict[str, Metric[Any, Any]]:
    """Return the filled metrics of records of one task and condition, by name."""
    kind = records[0].answer_kind
    metrics = _METRICS[kind]()
    for record in records:
        for metric in metrics.values():
            _update(metric, record)
    return metrics


def score_run(records: Iterable[Record], *, seed: int = 0) -> list[TaskScore]:
    """Return every task's scores in alphabetical order, with patient-bootstrap intervals."""
    grouped: dict[tuple[str, str], dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        grouped[(record.task, record.answer_kind)][record.condition].append(record)
    out = []
    for (task, _), by_condition in sorted(grouped.items()):
        if ASKED not in by_condition:
            continue
        asked = metrics_of(by_condition[ASKED])
        blind = {c: metrics_of(rows) for c, rows in sorted(by_condition.items()) if c != ASKED}
        for name, metric in asked.items():
            controls = {condition: metrics[name].result(seed=seed) for condition, metrics in blind.items()}
            out.append(TaskScore(f"{task}/{name}", metric.result(seed=seed), controls))
    return out


_METRICS: dict[str, Callable[[], dict[str, Metric[Any, Any]]]] = {
    "closed": lambda: {"balanced_accuracy": BalancedAccuracy(parse_closed), "accuracy": Accuracy(parse_closed)},
    "choice": lambda: {"accuracy": ChoiceAccuracy()},
    "open": lambda: {"exact_match": ExactMatch()},
    "box": lambda: {"iou": BoxIoU()},
    "mask": lambda: {"dice": Dice()},
}


def _update(metric: Metric[Any, Any], record: Record) -> None:
    answer = None if record.error else record.answer
    if isinstance(metric, BoxIoU):
        box = record.boxes[0] if record.boxes else None
        metric.update(box, record.reference_boxes[0], patient=record.patient)
    elif isinstance(metric, Dice):
        _update_dice(metric, record)
    elif isinstance(metric, ChoiceAccuracy):
        letter = chr(ord("A") + record.choices.index(record.reference))
        metric.update(answer, Choice(letter, tuple(record.choices)), patient=record.patient)
    elif record.answer_kind == "closed":
        metric.update(answer, record.reference.lower(), patient=record.patient)
    else:
        metric.update(answer, record.reference, patient=record.patient)


def _update_dice(metric: Dice, record: Record) -> None:
    if record.overlap is None:
        metric.keep((0.0, 1.0), record.patient)
        metric.counts["missing"] += 1
        return
    metric.keep((metric.score_of(Overlap(*record.overlap)), 1.0), record.patient)
