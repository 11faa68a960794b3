"""Ask a predictor every question of a task, as it is and under each blind control, and log every answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radfoundry import __version__
from radfoundry.evaluation.controls import CONTROLS
from radfoundry.evaluation.runlog import Record, RunLog
from radfoundry.evaluation.scoring import ASKED, TaskScore, score_run
from radfoundry.evaluation.tasks import Item, Task
from radfoundry.metrics import overlap
from radfoundry.protocols import Answer, Predictor, Question

__all__ = ["RunResult", "as_json", "run_task"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RunResult:
    """A finished run: its folder, how many answers it holds, and its scores."""

    folder: Path
    answers: int
    scores: list[TaskScore]


def run_task(
    task: Task,
    predictor: Predictor,
    folder: Path,
    *,
    controls: Sequence[str] = tuple(CONTROLS),
    baselines: Mapping[str, Predictor] | None = None,
    batch: int = 64,
    progress: Progress | None = None,
) -> RunResult:
    """Ask what the folder's log does not hold yet, then score the whole log.

    controls: names from `CONTROLS`, asked of the predictor itself; baselines: predictors that never look, asked as further controls.
    progress is called with (answers so far, answers in all). Questions of one study are asked together.
    """
    log = RunLog(folder)
    log.begin({"suite": task.name, "suite_version": task.version, "model": predictor.name, "radfoundry": __version__})
    answered = {(r.sample_id, r.condition) for r in log.records()}
    items = sorted(task.items, key=lambda i: (i.question.study_id, i.question.sample_id))
    asked = [item.question for item in items]
    conditions = {ASKED: (predictor, asked)}
    conditions |= {name: (predictor, CONTROLS[name](items)) for name in controls}
    conditions |= {name: (baseline, asked) for name, baseline in (baselines or {}).items()}
    total, done = len(items) * len(conditions), 0
    for condition, (who, questions) in conditions.items():
        todo = [k for k, item in enumerate(items) if (item.question.sample_id, condition) not in answered]
        done += len(items) - len(todo)
        for first in range(0, len(todo), batch):
            part = todo[first : first + batch]
            log.append(_ask(who, condition, [items[k] for k in part], [questions[k] for k in part]))
            done += len(part)
            if progress is not None:
                progress(done, total)
    return RunResult(folder, total, score_run(log.records()))


def _ask(predictor: Predictor, condition: str, items: Sequence[Item], questions: Sequence[Question]) -> list[Record]:
    began = time.perf_counter()
    answers = predictor.answer(questions)
    each = (time.perf_counter() - began) / max(len(answers), 1)
    return [_record(condition, item, answer, each) for item, answer in zip(items, answers, strict=True)]


def _record(condition: str, item: Item, answer: Answer, seconds: float) -> Record:
    question, reference = item.question, item.reference
    return Record(
        sample_id=question.sample_id,
        condition=condition,
        patient=item.patient,
        task=question.task,
        answer_kind=question.answer_kind,
        prompt=[{"role": turn.role, "text": turn.text} for turn in question.turns],
        choices=list(question.choices),
        reference=reference.text,
        answer=answer.text,
        confidence=answer.confidence,
        reference_boxes=[list(box) for box in reference.boxes],
        boxes=[list(box.flat) for box in answer.boxes],
        overlap=_overlap(item, answer),
        seconds=round(answer.seconds or seconds, 6),
        error=answer.error,
    )


def _overlap(item: Item, answer: Answer) -> list[int] | None:
    if item.reference.mask is None or answer.mask is None:
        return None
    return list(overlap(answer.mask, np.asarray(item.reference.mask())))


def as_json(result: RunResult, suite: str, model: str) -> Mapping[str, object]:
    """Return the last line of `radfoundry bench --json`."""
    scores = {
        s.name: {
            "value": s.score.value,
            "low": s.score.low,
            "high": s.score.high,
            "n": s.score.n,
            "blind": s.best_blind,
        }
        for s in result.scores
    }
    return {"suite": suite, "model": model, "n": result.answers, "scores": scores}
