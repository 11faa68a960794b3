"""`radfoundry train OUT`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from radfoundry.training.loop import TrainReport


def train(
    out: list[Path],
    *,
    model: str = "nano",
    recipe: str | None = None,
    run: Path | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    studies: int | None = None,
    questions: int | None = None,
    tasks: tuple[str, ...] = (),
    learning_rate: float | None = None,
    optimiser: Literal["adamw", "muon"] | None = None,
    seeing: float = 0.5,
    balance: bool | None = None,
    augment: float | None = None,
    accumulate: int | None = None,
    precision: Literal["auto", "bfloat16", "float32"] | None = None,
    recompute: bool | None = None,
    sharding: Literal["ddp", "fsdp"] | None = None,
    seed: int | None = None,
    tracker: tuple[str, ...] = (),
    json: bool = False,
) -> Any:
    """Train a model on one or more corpora; a run folder that holds a checkpoint goes on from it. Under torchrun processes train together.

    Parameters
    ----------
    out
        Corpus folders; a study that lies in several is one study with the samples of all.
    model
        nano, small, base, or a folder with a checkpoint to start from.
    recipe
        A published way of training (docs/training.md lists them), at the size of the model.
    run
        The run folder; OUT/../run-MODEL if not given.
    steps
        Optimiser steps; 600, or as many as the recipe's epochs take.
    seconds
        Stop after so many seconds; the schedule then follows time.
    studies
        Studies a step, of all processes together.
    questions
        Questions a study and step.
    tasks
        Learn these tasks alone; all if not given.
    learning_rate
        The highest rate of the schedule.
    optimiser
        adamw; or muon, with which a small model learns in fewer steps: the default of one without a recipe.
    seeing
        The share of steps or seconds in which a fresh model learns to mark what label maps name, before it learns to speak.
    balance
        Draw studies so that each answer of closed questions comes equally often.
    augment
        Strength of turns, scales, shifts and changes of intensity, 0 to 1; left stays left.
    accumulate
        Do a step in so many parts: less memory, the same step.
    precision
        auto is bfloat16 on a GPU and float32 elsewhere.
    recompute
        Keep no activations inside of blocks: less memory, a third more work.
    sharding
        Over several processes: ddp copies the weights, fsdp cuts them.
    seed
        What order and draws follow from.
    tracker
        tensorboard, or MODULE:FUNCTION of your own, beside log.jsonl.
    json
        Print the log lines and the report as JSON.
    """
    from radfoundry.corpus import Corpus
    from radfoundry.training.distributed import joined
    from radfoundry.training.loop import Settings
    from radfoundry.training.recipes import recipe as find_recipe
    from radfoundry.training.starting import size_of, tasks_of, train_on
    from radfoundry.training.trackers import open_tracker

    wanted = _given(
        steps=steps if seconds is None else 1_000_000, seconds=seconds, studies_per_step=studies, questions_per_study=questions,
        learning_rate=learning_rate, optimiser=optimiser, balance=balance, augment=augment, accumulate=accumulate,
        precision=precision, recompute=recompute, sharding=sharding, seed=seed,
    )  # fmt: skip
    chosen = find_recipe(recipe) if recipe else None
    run = run or out[0].parent / f"run-{Path(model).name}"
    corpora = [Corpus(folder) for folder in out]
    if chosen is not None:
        tasks = tasks or tasks_of(corpora, chosen.tasks, chosen.objective)
        settings = chosen.settings(*size_of(corpora, tasks), **wanted)
    else:
        settings = Settings(**{"steps": 600, "optimiser": "muon", **wanted})
    with joined() as ranks, _shown(settings.steps, seconds, json or not ranks.first) as show:
        report = train_on(
            corpora, model, run, settings,
            tasks=tasks, recipe=chosen, seeing=seeing, ranks=ranks, trackers=[open_tracker(name, run) for name in tracker if ranks.first],
            progress=_say_json if json else show,
        )  # fmt: skip
        if ranks.first:
            _report(report, out[0], json)
    return report


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _say_json(line: dict[str, Any]) -> None:
    from radfoundry.cli import console

    console.say_json(line)


@contextmanager
def _shown(steps: int, seconds: float | None, silent: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Draw a line with loss, rates and the time left."""
    from radfoundry.cli import console

    if silent:
        yield lambda _: None
        return
    validated: dict[str, float] = {}
    with console.meter("train") as shown:

        def show(line: dict[str, Any]) -> None:
            validated.update({name: value for name, value in line.items() if name == "validation_loss"})
            total = seconds if seconds is not None else steps
            done = line["seconds"] if seconds is not None else line["step"]
            left = (total - done) * line["seconds"] / done if done else None
            shown.update(min(done, total), total, _note(line | validated), left)

        yield show


def _note(line: dict[str, Any]) -> str:
    loss = f"loss {line['loss']:.3f}" + (
        f" (validation {line['validation_loss']:.3f})" if "validation_loss" in line else ""
    )
    rates = f"{line['questions_per_second']:.0f} questions/s, {line['tokens_per_second']:,.0f} tokens/s"
    return f"{loss}, {rates}, {line['mfu']:.0%} of the device, {line['memory_gb']:.1f} GB"


def _report(report: TrainReport, corpus: Path, json: bool) -> None:
    from radfoundry.cli import console

    if json:
        values = {"run": str(report.run), "steps": report.steps, "loss": report.loss, "seconds": report.seconds}
        console.say_json(values)
        return
    rows = [
        ("steps", report.steps),
        ("loss", report.loss),
        ("lowest validation loss", report.validation_loss),
        ("questions/s", report.questions_per_second),
        ("seconds", round(report.seconds, 1)),
    ]
    console.say_table(str(report.run), ["", "value"], rows)
    console.say_next(f"radfoundry bench {corpus} --model {report.run / 'last'}")
