"""How many, how long, how much: what a build will cost, from rates measured on this machine and these sources."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radfoundry.corpus import ledger
from radfoundry.corpus.engine import build
from radfoundry.corpus.pipeline import Pipeline, Source

__all__ = ["Estimate", "estimate_build"]


@dataclass(frozen=True)
class Estimate:
    """What is left to do. `measured` sources gave the rates; step_seconds: one worker's seconds a source, per step."""

    sources: int
    done: int
    measured: int
    workers: int
    step_seconds: dict[str, float]
    seconds_per_source: float
    bytes_per_source: float
    gpu_seconds_per_source: float

    @property
    def left(self) -> int:
        """Sources still to build."""
        return max(self.sources - self.done, 0)

    @property
    def hours(self) -> float:
        """Wall hours to the end with all workers busy."""
        return self.left * self.seconds_per_source / self.workers / 3600

    @property
    def gigabytes(self) -> float:
        """What the whole corpus will take on disk, in 10^9 bytes."""
        return self.sources * self.bytes_per_source / 1e9

    @property
    def gpu_hours(self) -> float:
        """Hours inside steps that need a GPU."""
        return self.left * self.gpu_seconds_per_source / 3600


def estimate_build(
    sources: Sequence[Source], pipeline: Pipeline, out: Path, *, workers: int | None = None, trial: int = 16
) -> Estimate:
    """Return the estimate; the rates come from waves that are done, or, with fewer than `trial` sources done, from a trial build.

    The trial goes to a temporary folder and runs in this process; nothing is written to `out`.
    """
    own = [m for m in ledger.manifests(out) if m.get("steps") == pipeline.identity]
    done = sum(len(m["inputs"]) for m in own)
    if done >= min(trial, len(sources)):
        return _from_waves(sources, pipeline, workers, done, own)
    with tempfile.TemporaryDirectory(prefix="radfoundry-plan-") as folder:
        build(sources, pipeline, Path(folder), workers=0, limit=trial)
        return _from_waves(sources, pipeline, workers, done, list(ledger.manifests(Path(folder))))


def _from_waves(
    sources: Sequence[Source], pipeline: Pipeline, workers: int | None, done: int, waves: Iterable[dict[str, Any]]
) -> Estimate:
    timed = [wave for wave in waves if "times" in wave]
    measured = sum(len(wave["inputs"]) for wave in timed)
    share = 1 / max(measured, 1)
    steps = {
        step.name: share * sum(wave["times"]["steps"].get(step.name, 0.0) for wave in timed) for step in pipeline.steps
    }
    size = sum(output["bytes"] for wave in timed for output in wave["outputs"].values())
    return Estimate(
        sources=len(sources),
        done=done,
        measured=measured,
        workers=workers or len(os.sched_getaffinity(0)),
        step_seconds=steps,
        seconds_per_source=share * sum(wave["times"]["total"] for wave in timed),
        bytes_per_source=share * size,
        gpu_seconds_per_source=sum(steps[step.name] for step in pipeline.steps if step.needs == "gpu"),
    )
