"""`radfoundry train OUT`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def train(
    out: list[Path],
    *,
    model: str = "nano",
    run: Path | None = None,
    steps: int = 600,
    seconds: float | None = None,
    studies: int = 8,
    questions: int = 12,
    tasks: tuple[str, ...] = (),
    learning_rate: float = 2e-3,
    seed: int = 0,
    json: bool = False,
) -> Any:
    """Train a model on one or more corpora; a run folder that holds a checkpoint goes on from it.

    Parameters
    ----------
    out
        Corpus folders; a study that lies in several is one study with the samples of all.
    model
        nano, small, base, or a folder with a checkpoint to start from.
    run
        The run folder; OUT/../run-MODEL if not given.
    steps
        Optimiser steps.
    seconds
        Stop after so many seconds; the schedule then follows time.
    studies
        Studies a step.
    questions
        Questions a study and step.
    tasks
        Learn these tasks alone; all if not given.
    learning_rate
        The highest rate of the schedule.
    seed
        What order and draws follow from.
    json
        Print the log lines and the report as JSON.
    """
    from radfoundry.cli import console
    from radfoundry.corpus import Corpus
    from radfoundry.training.loop import Settings
    from radfoundry.training.starting import train_on

    run = run or out[0].parent / f"run-{Path(model).name}"
    settings = Settings(
        steps=steps if seconds is None else 1_000_000,
        seconds=seconds,
        studies_per_step=studies,
        questions_per_study=questions,
        learning_rate=learning_rate,
        seed=seed,
    )
    with console.meter("train") as shown:

        def progress(line: dict[str, float]) -> None:
            if json:
                console.say_json(line)
                return
            total = seconds if seconds is not None else steps
            done = line["seconds"] if seconds is not None else line["step"]
            left = None if not done else (total - done) * (line["seconds"] / done)
            shown.update(
                min(done, total),
                total,
                f"loss {line['loss']:.3f}, {line['questions_per_second']:.0f} questions/s",
                left,
            )

        report = train_on([Corpus(folder) for folder in out], model, run, settings, tasks=tasks, progress=progress)
    if json:
        console.say_json({"run": str(run), "steps": report.steps, "loss": report.loss, "seconds": report.seconds})
        return report
    rows = [
        ("steps", report.steps),
        ("loss", report.loss),
        ("validation loss", report.validation_loss),
        ("questions/s", report.questions_per_second),
        ("seconds", round(report.seconds, 1)),
    ]
    console.say_table(str(run), ["", "value"], rows)
    console.say_next(f"radfoundry bench {out[0]} --model {run / 'last'}")
    return report
