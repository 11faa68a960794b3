"""From a run log to scores: the metrics of each task, native and published side by side, each beside its blind controls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from radfoundry.evaluation.runlog import ASKED, Record
from radfoundry.evaluation.scorers import COMPAT, Scorer, native_scorers
from radfoundry.metrics import Metric, Score

__all__ = ["TaskScore", "metrics_of", "score_record", "score_run", "task_name"]

# what the majority of the training answers is called where it is a place or a length
_MAJORITY = {"box": "mean-box", "mask": "atlas-mask", "size": "median-size"}


@dataclass(frozen=True)
class TaskScore:
    """A score of the questions as asked, and of each blind control.

    scorer: "native" or the name of the published set; primary: the one to look at first; better: "higher" or "lower"; unparsed: the
    first answers that could not be read.
    """

    name: str
    score: Score
    blind: dict[str, Score]
    scorer: str = "native"
    primary: bool = True
    better: str = "higher"
    unparsed: tuple[str, ...] = field(default=())

    @property
    def best_control(self) -> str | None:
        """The name of the blind control that does best: what the real score has to beat."""
        known = {name: s.value for name, s in self.blind.items() if s.value is not None}
        if not known:
            return None
        return min(known, key=lambda name: (-known[name] if self.better == "higher" else known[name], name))

    @property
    def best_blind(self) -> float | None:
        """The score of the best blind control."""
        best = self.best_control
        return self.blind[best].value if best is not None else None


def metrics_of(records: Sequence[Record], compat: str = "") -> dict[str, Metric[Any, Any]]:
    """Return the filled metrics of records of one task, kind and condition, by name; published ones after native ones."""
    filled = {}
    for scorer, _ in _scorers(records[0], compat):
        taken = [record for record in records if scorer.takes(record)]
        if taken:
            filled[scorer.name] = _fill(scorer, taken)
    return filled


def score_record(record: Record) -> float | None:
    """Return one answer's own first score."""
    scorer = native_scorers(record)[0]
    return _fill(scorer, [record]).per_sample()[0] if scorer.takes(record) else None


def score_run(records: Iterable[Record], *, compat: str = "", seed: int = 0) -> list[TaskScore]:
    """Return every task's scores in alphabetical order, with patient-bootstrap intervals.

    compat: the published scorers that stand beside the native ones. A control is scored on the questions that were asked as well.
    """
    grouped: dict[tuple[str, str], dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        grouped[(record.group or record.task, record.answer_kind)][record.condition].append(record)
    out: list[TaskScore] = []
    for (task, kind), by_condition in sorted(grouped.items()):
        if ASKED in by_condition:
            name = task_name(task, kind, [k for t, k in grouped if t == task])
            out += _task_scores(name, by_condition, compat, seed)
    return out


def task_name(task: str, kind: str, kinds: Sequence[str]) -> str:
    """Return the name that a task's scores stand under; yes/no questions and choices of one task have the same scores, so it says which."""
    return f"{task}-{kind}" if {"closed", "choice"} <= set(kinds) and kind in ("closed", "choice") else task


def _task_scores(task: str, by_condition: dict[str, list[Record]], compat: str, seed: int) -> list[TaskScore]:
    records = by_condition[ASKED]
    asked = metrics_of(records, compat)
    blind = {
        _control_name(condition, rows[0]): metrics_of(rows, compat)
        for condition, rows in sorted(by_condition.items())
        if condition != ASKED
    }
    sets = {scorer.name: which for scorer, which in _scorers(records[0], compat)}
    out: list[TaskScore] = []
    for name, metric in asked.items():
        score = metric.result(seed=seed)
        if score.n == 0:  # such as calibration where no answer came with a confidence
            continue
        primary = score.value is not None and not any(earlier.primary for earlier in out)
        controls = {c: metrics[name].result(seed=seed) for c, metrics in blind.items() if name in metrics}
        out.append(
            TaskScore(f"{task}/{name}", score, controls, sets[name], primary, metric.better, tuple(metric.unparsed))
        )
    return out


def _scorers(record: Record, compat: str) -> list[tuple[Scorer, str]]:
    published = COMPAT.get(compat, {}).get(record.answer_kind, ())
    return [(one, "native") for one in native_scorers(record)] + [(one, compat) for one in published]


def _fill(scorer: Scorer, records: Sequence[Record]) -> Metric[Any, Any]:
    metric = scorer.make()
    for record in records:
        scorer.update(metric, record)
    return metric


def _control_name(condition: str, record: Record) -> str:
    if condition != "majority":
        return condition
    return _MAJORITY.get(record.task if record.task == "size" else record.answer_kind, condition)
