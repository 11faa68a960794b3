"""A bench from its name to its page: what is asked, who answers, what never looks, what overlaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from radfoundry.corpus import Corpus
from radfoundry.errors import UsageError
from radfoundry.evaluation.controls import CONTROLS
from radfoundry.evaluation.overlap import disjoint_training, overlap_of
from radfoundry.evaluation.page import write_page
from radfoundry.evaluation.predictors import open_predictor
from radfoundry.evaluation.predictors.answers import AnswersFile
from radfoundry.evaluation.predictors.majority import Majority
from radfoundry.evaluation.predictors.text_only import TextOnly
from radfoundry.evaluation.running import RunResult, as_json, run_task
from radfoundry.evaluation.suites import SUITES, Suite, open_suite
from radfoundry.evaluation.tasks import Item, Task, corpus_task
from radfoundry.protocols import Predictor

__all__ = ["Bench", "Wanted", "run_bench"]


@dataclass(frozen=True)
class Wanted:
    """What was asked for; the fields are the flags of `radfoundry bench`."""

    suite: str
    src: Path | None
    model: str
    split: str = "test"
    tasks: tuple[str, ...] = ()
    limit: int | None = None
    out: Path | None = None
    disjoint: bool = False
    trained_on: str = ""
    retry_errors: bool = False


@dataclass(frozen=True)
class Bench:
    """A finished bench: scores, what to know before believing them, and the page with both."""

    suite: str
    model: str
    result: RunResult
    warnings: tuple[str, ...]
    page: Path

    def last_line(self) -> Mapping[str, object]:
        """Return the object that `--json` ends with."""
        return as_json(self.result, self.suite, self.model)


def run_bench(wanted: Wanted, progress: Callable[[int, int], None] | None = None) -> Bench:
    """Ask, score, and write the page. Raises UsageError for what cannot be asked."""
    suite = _open(wanted)
    task, training = suite.task, list(suite.training)
    warnings = list(task.notes)
    overlap = overlap_of(training, task.items)
    free = disjoint_training(training, task.items) if overlap.any else training
    if overlap.any:
        warnings.append(
            f"{overlap}: text-only-disjoint learns from the {len(free)} training questions that share nothing"
        )
    predictor = open_predictor(wanted.model, free if wanted.disjoint else training)
    looks = getattr(predictor, "looks", True)
    if looks:
        task = task.without_absent()
    warnings += _warnings(wanted, task, predictor)
    result = run_task(
        task,
        predictor,
        wanted.out or _folder(wanted, predictor),
        controls=tuple(CONTROLS) if looks else (),
        baselines=_baselines(wanted, training, free, overlap.any),
        # words alone of who never looked are no picture
        examples=2 if looks or any(i.reference.boxes or i.reference.mask for i in task.items) else 0,
        retry_errors=wanted.retry_errors,
        trained_on=wanted.trained_on,
        progress=progress,
    )
    return Bench(task.name, predictor.name, result, tuple(warnings), write_page(result.folder, warnings, result))


def _open(wanted: Wanted) -> Suite:
    if wanted.suite in SUITES:
        suite = open_suite(wanted.suite, wanted.src, wanted.split)
        return replace(suite, task=_limited(_chosen(suite.task, wanted.tasks), wanted.limit))
    corpus = Corpus(_corpus_folder(wanted.suite))
    task = corpus_task(corpus, wanted.split, wanted.limit, wanted.tasks)
    if not task.items:
        raise UsageError(
            f"no questions in the {wanted.split} split of {wanted.suite}", "no patient fell into it", "--split train"
        )
    return Suite(task, corpus_task(corpus, "train", tasks=wanted.tasks).items if wanted.split != "train" else ())


def _corpus_folder(name: str) -> Path:
    if not Path(name).is_dir():
        raise UsageError(
            f"no suite and no corpus {name!r}", f"there are {', '.join(SUITES)}", "radfoundry bench vqa-rad FOLDER"
        )
    return Path(name)


def _chosen(task: Task, tasks: tuple[str, ...]) -> Task:
    if not tasks:
        return task
    items = [i for i in task.items if i.question.task in tasks or i.group in tasks]
    if not items:
        raise UsageError(f"{task.name} has no task {', '.join(tasks)}", "", "leave --tasks away to ask all")
    return replace(task, items=items)


def _limited(task: Task, limit: int | None) -> Task:
    if limit is None or limit >= len(task.items):
        return task
    return replace(task, items=[task.items[k * len(task.items) // limit] for k in range(limit)])


def _baselines(wanted: Wanted, training: list[Item], free: list[Item], overlaps: bool) -> dict[str, Predictor]:
    """Predictors that never look, less the one that is benched."""
    out: dict[str, Predictor] = {}
    if training:
        out = {"majority": Majority.of(free if wanted.disjoint else training), "text-only": TextOnly.of(training)}
    if free and overlaps:
        out["text-only-disjoint"] = TextOnly.of(free, "text-only-disjoint")
    asked = "text-only-disjoint" if wanted.model == "text-only" and wanted.disjoint and overlaps else wanted.model
    return {name: baseline for name, baseline in out.items() if name != asked}


def _warnings(wanted: Wanted, task: Task, predictor: Predictor) -> list[str]:
    out = []
    if isinstance(predictor, AnswersFile):
        strangers = predictor.strangers({i.question.sample_id for i in task.items})
        if strangers:
            out.append(
                f"{len(strangers)} answers in the file are to no question of {task.name}, such as {strangers[0]!r}"
            )
    if not wanted.trained_on and getattr(predictor, "looks", True):
        out.append(
            "it is not stated what the model has learned from (--trained-on): tuned on this benchmark and not tuned on it are two things"
        )
    folder = Path(wanted.trained_on) if wanted.trained_on else None
    if folder is not None and (folder / "corpus.json").is_file():
        shared = overlap_of(corpus_task(Corpus(folder), "train").items, task.items)
        out.append(f"{folder}: {shared}" if shared.any else f"{folder} shares no picture with these questions")
        if shared.patients == 0:
            out.append("ids of patients are salted: patients of corpora with different salts cannot be compared")
    return out


def _folder(wanted: Wanted, predictor: Predictor) -> Path:
    """Beside the corpus, or in the working folder for a suite."""
    safe = "".join(c if c.isalnum() or c in "._" else "-" for c in predictor.name)[:80]
    disjoint = "-disjoint" if wanted.disjoint else ""
    if wanted.suite in SUITES:
        return Path(f"bench-{wanted.suite}-{safe}-{wanted.split}{disjoint}")
    return Path(wanted.suite).parent / f"bench-{safe}-{wanted.split}{disjoint}"
