"""Which source kills its worker: a suspect wave runs alone, and a guilty one is halved until the poison rows are found."""

from __future__ import annotations

from dataclasses import replace

from radfoundry.corpus.pipeline import Source
from radfoundry.corpus.runners.runner import Died, Runner
from radfoundry.corpus.wave import Job, Receipt, Task
from radfoundry.errors import MachineError

__all__ = ["clear_suspect"]


def clear_suspect(runner: Runner, job: Job, task: Task) -> Receipt:
    """Carry out a wave whose worker died, with the sources that kill a worker every time set aside.

    Raises MachineError when the worker dies though no single source kills it.
    """
    outcome = _alone(runner, job, task)
    if isinstance(outcome, Receipt):
        return outcome  # someone else's fault: a neighbour, a passing lack of memory, a person with `kill`
    poison = tuple(source.key for source in _poison(runner, job, task, task.sources))
    outcome = _alone(runner, job, replace(task, poison=poison))
    if isinstance(outcome, Died):
        raise MachineError(
            f"wave {task.wave} of {len(task.sources)} rows kills its worker",
            "each row alone is survived: most likely memory runs out",
            "use fewer workers or a smaller wave_rows and run the same command again",
            code="worker-died",
        )
    return outcome


def _poison(runner: Runner, job: Job, task: Task, sources: tuple[Source, ...]) -> list[Source]:
    if isinstance(_alone(runner, job, replace(task, sources=sources, probe=True)), Receipt):
        return []
    if len(sources) == 1:
        return list(sources)
    half = len(sources) // 2
    return [
        *_poison(runner, job, task, sources[:half]),
        *_poison(runner, job, task, sources[half:]),
    ]


def _alone(runner: Runner, job: Job, task: Task) -> Receipt | Died:
    return next(iter(runner.run(job, [task])))
