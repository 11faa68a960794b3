"""Waves on a Ray cluster, local or by address: Ray core tasks that run the same wave function. The one file that knows Ray.

Every node must see the corpus folder and the sources under the same paths, and have radfoundry installed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from radfoundry.corpus.runners.runner import Died, Outcome
from radfoundry.corpus.timing import end_when_stuck
from radfoundry.corpus.wave import Job, Receipt, Task, carry_out
from radfoundry.errors import MachineError, MissingExtraError, UsageError

__all__ = ["RayRunner"]

_AHEAD = 2  # waves in flight a worker, as in the local runner
_LOCAL_STORE_BYTES = (
    256 * 2**20
)  # tasks carry sources in and receipts out, no pixels; the default is a share of all memory


class RayRunner:
    """Runs waves as Ray tasks. workers: waves at once (None: every CPU of the cluster); address: a cluster's, None: one of our own.

    Raises MissingExtraError without ray, MachineError where no cluster answers.
    """

    name = "ray"

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        self._ray = _import_ray()
        self._own = not self._ray.is_initialized()
        if self._own:
            _start(self._ray, workers, address)
        self.workers = workers or int(self._ray.cluster_resources().get("CPU", 1))
        self._held: tuple[Job, Any] | None = None

    def run(self, job: Job, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Yield outcomes as waves finish; a wave whose worker, or whose node, died comes back as Died."""
        remote, held = self._remote(job), self._hold(job)
        waiting, flying = iter(tasks), dict[Any, Task]()
        while True:
            for task in islice(waiting, _AHEAD * self.workers - len(flying)):
                flying[remote.remote(held, task)] = task
            if not flying:
                return
            done, _ = self._ray.wait(list(flying), num_returns=1)
            for reference in done:
                yield self._outcome(reference, flying.pop(reference))

    def close(self) -> None:
        """Leave the cluster; one of our own ends."""
        if self._own and self._ray.is_initialized():
            self._ray.shutdown()

    def _remote(self, job: Job) -> Any:
        # max_retries=0: the engine itself looks for the row that killed a worker
        gpus = 1 if "gpu" in job.pipeline.needs else 0
        return self._ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_work)

    def _hold(self, job: Job) -> list[Any]:
        """Put the job into the cluster once; in a list, so that the task gets the reference and can keep what it unpacks."""
        if self._held is None or self._held[0] is not job:
            self._held = (job, self._ray.put(job))
        return [self._held[1]]

    def _outcome(self, reference: Any, task: Task) -> Outcome:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            raise _cause(error, exceptions.RaySystemError) from error
        except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError):
            return Died(task)


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a hospital's machine reports to nobody
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--engine ray needs Ray", str(error), extra="cluster") from error
    return ray


def _start(ray: Any, workers: int | None, address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            own = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": _LOCAL_STORE_BYTES}
            ray.init(address="local", **own, **quiet)
        else:
            ray.init(address=address, **quiet)
    except ConnectionError as error:
        raise MachineError(f"no Ray cluster answers at {address}", str(error), "start one: ray start --head") from error


def _cause(error: Any, system_error: type[Exception]) -> BaseException:
    """Return what the wave function raised; Ray's own trouble is, as a rule, a node that cannot import the steps."""
    if isinstance(error.cause, system_error):
        return UsageError(
            "the cluster cannot run these steps",
            str(error.cause).strip().splitlines()[-1],
            "install radfoundry and the module of your steps and sources on every node",
        )
    return error.cause


# ---- below: inside a worker


@lru_cache(maxsize=1)
def _unpacked(reference: Any) -> Job:
    import ray

    return ray.get(reference)


def _work(held: list[Any], task: Task) -> Receipt:
    end_when_stuck()
    return carry_out(_unpacked(held[0]), task)
