"""What is built: named sources go in, a pipeline of steps works on them, each step's identity counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from radfoundry.errors import RadfoundryError, UsageError
from radfoundry.ids import settings_hash
from radfoundry.protocols import Step

__all__ = ["Pipeline", "Source", "StepError", "fingerprint_of", "step_identity"]


@runtime_checkable
class Source(Protocol):
    """Anything picklable with a name of its own; `fingerprint`, where it has one, says when its content has changed."""

    @property
    def key(self) -> str:
        """The name that no other source of this build has."""
        ...


class StepError(RadfoundryError):
    """A step has a bug: neither the row nor the machine is at fault, so the build stops and says how to see it again."""

    code = "step"


@dataclass(frozen=True)
class Pipeline:
    """Steps in order.

    wave_rows: at most so many sources are committed together; more is faster for cheap rows, fewer loses less when killed.
    batch_rows: so many go through the steps together, their pixels all in memory; a step sees no other. Not part of the output.
    source_seconds: a step may work so long on one source; what takes longer is rejected.
    Steps are pickled to the workers once: keep heavy things (weights, lexicons) in a `cached_property`, not in the instance.
    """

    name: str
    steps: Sequence[Step]
    wave_rows: int = 8
    batch_rows: int = 1
    source_seconds: float = 1800.0

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if min(self.wave_rows, self.batch_rows) < 1 or len(set(names)) < len(names):
            raise UsageError(
                f"the pipeline {self.name!r} cannot run",
                f"wave_rows is {self.wave_rows}, batch_rows is {self.batch_rows}, steps are {names}",
                "give each step a name of its own, and waves and batches at least one row",
            )

    @cached_property
    def identity(self) -> list[dict[str, str]]:
        """Name, version and settings hash of each step: with the rows, all that the output depends on."""
        return [step_identity(step) for step in self.steps]

    @property
    def needs(self) -> set[str]:
        """What a worker must have: cpu, gpu, remote."""
        return {step.needs for step in self.steps}


def step_identity(step: Step) -> dict[str, str]:
    """Return what names a step's output: its name, version and settings hash."""
    return {"name": step.name, "version": step.version, "settings": settings_hash(dict(step.settings))}


def fingerprint_of(pipeline: Pipeline, sources: Sequence[Source]) -> str:
    """Return the hash of all that a wave's output depends on: steps and sources."""
    contents = [str(getattr(source, "fingerprint", "")) for source in sources]
    parts = [pipeline.name, pipeline.identity, [source.key for source in sources], contents]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
