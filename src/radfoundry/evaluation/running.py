"""Ask a predictor every question of a task, as it is and under each blind control, and log every answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from radfoundry import __version__
from radfoundry.errors import UsageError
from radfoundry.evaluation.controls import CONTROLS
from radfoundry.evaluation.examples import Examples
from radfoundry.evaluation.recording import record_of
from radfoundry.evaluation.runlog import ASKED, Record, RunLog
from radfoundry.evaluation.scoring import TaskScore, score_run
from radfoundry.evaluation.tasks import Item, Task
from radfoundry.protocols import Answer, Predictor, Question

__all__ = ["RunResult", "as_json", "result_of_log", "run_task"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RunResult:
    """A finished run: its folder, how many questions were asked, its scores, and failures by their reason."""

    folder: Path
    answers: int
    scores: list[TaskScore]
    errors: dict[str, int] = field(default_factory=dict)
    tokens: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class _Condition:
    name: str
    who: Predictor
    items: list[Item]
    questions: list[Question]


def run_task(
    task: Task,
    predictor: Predictor,
    folder: Path,
    *,
    controls: Sequence[str] = tuple(CONTROLS),
    baselines: Mapping[str, Predictor] | None = None,
    batch: int = 64,
    examples: int = 2,
    retry_errors: bool = False,
    trained_on: str = "",
    progress: Progress | None = None,
) -> RunResult:
    """Ask what the folder's log does not hold yet, then score the whole log.

    controls: names from `CONTROLS`, asked of the predictor itself; baselines: predictors that never look, asked as further controls
    (those of the kinds in their `kinds` alone, where they name some). Questions of one study are asked together. A predictor with
    `answer_each(questions) -> Iterator[(place, Answer)]` gets all questions at once and is logged answer by answer. examples: so many
    questions of each group are drawn. retry_errors: ask again what failed. trained_on: what the model has learned from, in words.
    progress is called with (answers so far, answers in all).
    """
    log = RunLog(folder)
    log.begin(_about(task, predictor, trained_on))
    known = {(r.sample_id, r.condition) for r in log.records() if not (retry_errors and r.error)}
    conditions = _conditions(task, predictor, controls, baselines or {})
    total, done = sum(len(c.items) for c in conditions), 0
    for condition in conditions:
        drawer = Examples(folder, examples if condition.name == ASKED else 0)
        todo = [k for k, i in enumerate(condition.items) if (i.question.sample_id, condition.name) not in known]
        done += len(condition.items) - len(todo)
        for records in _ask(condition, todo, batch, drawer):
            log.append(records)
            done += len(records)
            if progress is not None:
                progress(done, total)
    return result_of_log(log)


def result_of_log(log: RunLog) -> RunResult:
    """Score a run from its log alone."""
    records = log.records()
    asked = [r for r in records if r.condition == ASKED]
    errors = Counter(_reason(r) for r in records if r.error)
    tokens = [sum(r.tokens[k] for r in records if r.tokens) for k in (0, 1)]
    scores = score_run(records, compat=log.about.get("compat", ""))
    return RunResult(log.folder, len(asked), scores, dict(errors.most_common()), (tokens[0], tokens[1]))


def _about(task: Task, predictor: Predictor, trained_on: str) -> dict[str, object]:
    ids = Counter(item.question.sample_id for item in task.items)
    if ids and max(ids.values()) > 1:
        twice = min(name for name, count in ids.items() if count > 1)
        raise UsageError(f"{task.name} asks {twice!r} twice", "an answer could not be told from the other", "")
    return {
        "suite": task.name,
        "suite_version": task.version,
        "compat": task.compat,
        "questions": len(task.items),
        "questions_hash": task.hash,
        "notes": list(task.notes),
        "model": predictor.name,
        "made_by": asdict(predictor.made_by),
        "trained_on": trained_on,
        "radfoundry": __version__,
    }


def _conditions(
    task: Task, predictor: Predictor, controls: Sequence[str], baselines: Mapping[str, Predictor]
) -> list[_Condition]:
    items = sorted(task.items, key=lambda i: (i.question.study_id, i.question.sample_id))
    asked = [item.question for item in items]
    out = [_Condition(ASKED, predictor, items, asked)]
    out += [_Condition(name, predictor, items, CONTROLS[name](items)) for name in controls]
    for name, baseline in baselines.items():
        kinds = getattr(baseline, "kinds", None)
        fitting = [item for item in items if kinds is None or item.question.answer_kind in kinds]
        out.append(_Condition(name, baseline, fitting, [item.question for item in fitting]))
    return out


def _ask(condition: _Condition, todo: list[int], batch: int, drawer: Examples) -> Iterator[list[Record]]:
    each = getattr(condition.who, "answer_each", None)
    if each is not None:
        for place, answer in each([condition.questions[k] for k in todo]):
            yield [_logged(condition, todo[place], answer, answer.seconds, drawer)]
        return
    for first in range(0, len(todo), batch):
        part = todo[first : first + batch]
        began = time.perf_counter()
        answers = condition.who.answer([condition.questions[k] for k in part])
        seconds = (time.perf_counter() - began) / len(part)
        yield [_logged(condition, k, answer, seconds, drawer) for k, answer in zip(part, answers, strict=True)]


def _logged(condition: _Condition, place: int, answer: Answer, seconds: float, drawer: Examples) -> Record:
    item = condition.items[place]
    return record_of(condition.name, item, condition.questions[place], answer, seconds, drawer.draw(item, answer))


def _reason(record: Record) -> str:
    """An error without its particulars: what stands before the first colon."""
    return record.error.partition(":")[0][:60]


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
