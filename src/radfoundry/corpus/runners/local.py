"""Waves on the cores of this machine: a forkserver pool, a bounded window of waves in flight, a new pool when a worker dies."""

from __future__ import annotations

import multiprocessing as mp
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from radfoundry.corpus.runners.runner import Died, Outcome
from radfoundry.corpus.timing import end_when_stuck
from radfoundry.corpus.wave import Gate, Job, Receipt, Task, carry_out, open_gate
from radfoundry.errors import UsageError

__all__ = ["LocalRunner"]

# waves in flight a worker: one at work, one waiting, so that a worker never idles and memory stays bounded
_AHEAD = 2


class LocalRunner:
    """A pool of processes. `gpu_slots` and `remote_slots` bound how many of them are inside a step of that kind at once."""

    name = "local"

    def __init__(self, workers: int | None = None, *, gpu_slots: int = 1, remote_slots: int = 8) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self._slots = {"gpu": gpu_slots, "remote": remote_slots}
        self._pool: ProcessPoolExecutor | None = None
        self._job: bytes = b""

    def run(self, job: Job, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Yield outcomes as waves finish; when a worker dies, every wave in flight comes back as Died."""
        packed = _packed(job)
        if packed != self._job:
            self.close()
            self._job = packed
        waiting, flying = iter(tasks), dict[Future[Receipt], Task]()
        try:
            while True:
                for task in islice(waiting, _AHEAD * self.workers - len(flying)):
                    flying[self._submit(task)] = task
                if not flying:
                    return
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                yield from self._collect(done, flying)
        finally:
            for future in flying:
                future.cancel()

    def close(self) -> None:
        """End the workers after the waves that they are in."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _submit(self, task: Task) -> Future[Receipt]:
        try:
            return self._open().submit(_work, task)
        except BrokenProcessPool:  # a worker died since the last look; those in flight will say so
            self.close()
            return self._open().submit(_work, task)

    def _collect(self, done: Iterable[Future[Receipt]], flying: dict[Future[Receipt], Task]) -> Iterator[Outcome]:
        for future in done:
            task = flying.pop(future)
            try:
                yield future.result()
            except BrokenProcessPool:
                yield Died(task)

    def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = mp.get_context("forkserver")
            slots = {need: context.BoundedSemaphore(count) for need, count in self._slots.items()}
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=_begin, initargs=(self._job, slots)
            )
        return self._pool


def _packed(job: Job) -> bytes:
    """Return the job as bytes for the workers. Raises UsageError where a worker could not build it from them."""
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    from_prompt = [s.name for s in job.pipeline.steps if type(s).__module__ == "__main__" and path is None]
    if from_prompt or (path is not None and not Path(path).exists()):
        raise UsageError(
            f"worker processes cannot import {from_prompt or [path]}",
            "they start afresh and import steps from files",
            "put the steps and this call into a file (with an `if __name__ == '__main__':`), or use workers=0",
        )
    try:
        return pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the steps of {job.pipeline.name} cannot go to worker processes",
            str(error),
            "keep open files and models in a cached_property, or use workers=0",
        ) from error


# ---- below: inside a worker


@dataclass
class _Held:
    job: bytes = b""
    slots: dict[str, Any] | None = None


_HELD = _Held()


def _begin(job: bytes, slots: dict[str, Any]) -> None:
    _HELD.job, _HELD.slots = job, slots
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    end_when_stuck()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for ever for its next wave."""
    parent = mp.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


@cache
def _job() -> Job:
    return pickle.loads(_HELD.job)  # noqa: S301 - our own parent wrote these bytes


def _gate(step: Any) -> AbstractContextManager[Any]:
    slots = _HELD.slots or {}
    return slots[step.needs] if step.needs in slots else open_gate(step)


def _work(task: Task) -> Receipt:
    gate: Gate = _gate
    return carry_out(_job(), task, gate)
