"""One source again, step by step, in this process and without writing: for looking at what each step makes of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from radfoundry.corpus.pipeline import Pipeline, Source
from radfoundry.errors import RowError, UsageError
from radfoundry.protocols import Batch

__all__ = ["Stage", "replay"]


@dataclass(frozen=True)
class Stage:
    """What one step did: its seconds, the rows, arrays and files that it added, or why it refused the source."""

    step: str
    seconds: float
    added: Batch
    refused: RowError | None = None


def replay(sources: Sequence[Source], pipeline: Pipeline, key: str) -> list[Stage]:
    """Run one source through the steps, up to the one that refuses it. A bug comes through with its own traceback."""
    chosen = [source for source in sources if source.key == key][:1]
    if not chosen:
        raise UsageError(f"there is no source {key!r}", f"{len(sources)} sources were found", "look at the keys")
    batch, stages = Batch(rows={"sources": chosen}), list[Stage]()
    for step in pipeline.steps:
        started = time.perf_counter()
        try:
            added = step.run(batch)
        except RowError as error:
            stages.append(Stage(step.name, time.perf_counter() - started, Batch(), error))
            break
        stages.append(Stage(step.name, time.perf_counter() - started, added))
        batch.merge(added)
    return stages
