"""Waves one after another in this process: for debuggers, small builds, and as the plain path that others are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from radfoundry.corpus.runners.runner import Outcome
from radfoundry.corpus.wave import Job, Task, carry_out

__all__ = ["InlineRunner"]


class InlineRunner:
    """Runs each wave where it is called."""

    name = "inline"
    workers = 1

    def run(self, job: Job, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Yield a receipt a task, in order."""
        return (carry_out(job, task) for task in tasks)

    def close(self) -> None:
        """Nothing was taken."""
