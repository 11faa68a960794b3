"""The seam between the engine and whatever carries out its waves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from radfoundry.corpus.wave import Job, Receipt, Task

__all__ = ["Died", "Outcome", "Runner"]


@dataclass(frozen=True)
class Died:
    """The worker that had this task, or one beside it, died: the task is suspect, not guilty."""

    task: Task


Outcome = Receipt | Died


class Runner(Protocol):
    """Carries out tasks, a bounded number of them ahead, and gives outcomes back in any order.

    `workers` is how many waves run at once. `run` may be called again after it ended, and lets errors of the wave function through.
    """

    name: str
    workers: int

    def run(self, job: Job, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Yield one outcome a task."""
        ...

    def close(self) -> None:
        """Give the workers back."""
        ...
