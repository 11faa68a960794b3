"""The wave function: what every runner calls, wherever it runs. Compute, write aside, commit."""

from __future__ import annotations

import gc
import os
import platform
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from radfoundry.arrow import to_table
from radfoundry.corpus import disk, ledger
from radfoundry.corpus.pipeline import Pipeline, Source, StepError, fingerprint_of
from radfoundry.corpus.timing import time_limit
from radfoundry.errors import MachineError, RowError
from radfoundry.protocols import Batch, Step
from radfoundry.records import TABLES, Rejected

__all__ = ["Gate", "Job", "Receipt", "Task", "carry_out", "compute", "open_gate", "parquet_bytes", "replay_line"]

_ATTEMPTS = 3
_MANY_ROWS = 1000
_FIRST_PAUSE_S = 0.1

Gate = Callable[[Step], AbstractContextManager[Any]]


def open_gate(step: Step) -> AbstractContextManager[Any]:
    """Let every step pass; runners that share a GPU or a remote model give narrower gates."""
    return nullcontext()


@dataclass(frozen=True)
class Job:
    """What a worker holds for the whole build."""

    pipeline: Pipeline
    out: Path
    command: str = ""


@dataclass(frozen=True)
class Task:
    """A wave to carry out.

    inputs: what the manifest calls the sources, eight bytes each. poison: sources known to kill a worker. A probe computes and writes
    nothing.
    """

    wave: str
    sources: tuple[Source, ...]
    inputs: bytes
    poison: tuple[str, ...] = ()
    probe: bool = False


@dataclass(frozen=True)
class Receipt:
    """What a carried-out wave cost and gave."""

    wave: str
    sources: int
    rows: Mapping[str, int] = field(default_factory=dict)
    step_seconds: Mapping[str, float] = field(default_factory=dict)


def carry_out(job: Job, task: Task, gate: Gate = open_gate) -> Receipt:
    """Compute a wave and commit it; try again, a bounded number of times, where the machine failed.

    Raises MachineError when it keeps failing or the disk is full, StepError for a bug in a step.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with _collector_off() if job.pipeline.batch_rows >= _MANY_ROWS else nullcontext():
                return _once(job, task, gate)
        except (OSError, MachineError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno in disk.FULL:
                raise disk.disk_full(error, job.out) from error
            if attempt == _ATTEMPTS - 1:
                raise _given_up(task, error) from error
            time.sleep(_FIRST_PAUSE_S * 4**attempt)
    raise AssertionError("the loop returns or raises")


@contextmanager
def _collector_off() -> Iterator[None]:
    """Thousands of small rows without cycles: walking them over and over would cost as much as a step."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _once(job: Job, task: Task, gate: Gate) -> Receipt:
    started = time.perf_counter()
    seconds: dict[str, float] = {step.name: 0.0 for step in job.pipeline.steps}
    batch = _sound(job, task, gate, seconds)
    if task.probe:
        return Receipt(task.wave, len(task.sources))
    tables = {name: _table(job, name, rows) for name, rows in sorted(batch.rows.items()) if name in TABLES and rows}
    files = {f"tables/{name}/{task.wave}.parquet": parquet_bytes(table) for name, table in tables.items()}
    files |= {_safe(name): data for name, data in sorted(batch.files.items())}
    rows = {name: table.num_rows for name, table in tables.items()}

    def manifest() -> dict[str, Any]:
        return _manifest(job, task, files, rows, seconds, time.perf_counter() - started)

    ledger.commit(job.out, task.wave, files, manifest)
    return Receipt(task.wave, len(task.sources), rows, seconds)


def _sound(job: Job, task: Task, gate: Gate, seconds: dict[str, float]) -> Batch:
    """Return the rows of all sources that can go in, and `rejected` rows for those that cannot; pixels live for a batch only."""
    sources, whole = _usable(task)
    for start in range(0, len(sources), job.pipeline.batch_rows):
        made = _batch(job, sources[start : start + job.pipeline.batch_rows], gate, seconds)
        made.arrays.clear()
        whole.merge(made)
    return whole


def _batch(job: Job, sources: Sequence[Source], gate: Gate, seconds: dict[str, float]) -> Batch:
    try:
        return compute(job, sources, gate, seconds)
    except RowError:
        return _row_by_row(job, sources, gate, seconds)
    except StepError:
        if len(sources) > 1:
            _row_by_row(job, sources, gate, seconds)  # raises with the key of the guilty row
        raise


def _row_by_row(job: Job, sources: Sequence[Source], gate: Gate, seconds: dict[str, float]) -> Batch:
    whole = Batch()
    for source in sources:
        whole.merge(compute(job, [source], gate, seconds))
    return whole


def _usable(task: Task) -> tuple[list[Source], Batch]:
    """Set aside what must not run: rows that killed a worker, and second sources of one key."""
    if not task.poison and len({source.key for source in task.sources}) == len(task.sources):
        return list(task.sources), Batch()
    refused, usable, seen = Batch(), [], set()
    for source in task.sources:
        if source.key in task.poison:
            refused.add("rejected", _killer(source.key))
        elif source.key in seen:
            refused.add("rejected", _twin(source.key))
        else:
            seen.add(source.key)
            usable.append(source)
    return usable, refused


def compute(job: Job, sources: Sequence[Source], gate: Gate, seconds: dict[str, float]) -> Batch:
    """Run the steps over sources and return what they made; a single source that is refused gives one `rejected` row.

    Raises RowError when one of several sources was refused; StepError when a step has a bug.
    """
    batch = Batch(rows={"sources": list(sources)})
    for step in job.pipeline.steps if sources else ():
        started = time.perf_counter()
        try:
            with gate(step), time_limit(job.pipeline.source_seconds * len(sources), f"step {step.name}"):
                made = step.run(batch)
            batch.merge(made)
        except RowError as error:
            if len(sources) > 1:
                raise
            refused = Batch()
            refused.reject(sources[0].key, step.name, error)
            return refused
        except (OSError, MachineError, MemoryError):
            raise
        except Exception as error:
            raise _bug(job, step, sources, error) from error
        finally:
            seconds[step.name] += time.perf_counter() - started
    _check_tables(job, batch)
    return batch


def _table(job: Job, name: str, rows: Sequence[Any]) -> pa.Table:
    try:
        return to_table(name, rows)
    except (pa.ArrowException, AttributeError, TypeError) as error:
        raise StepError(
            f"{job.pipeline.name} made rows that do not fit the table {name}",
            f"{type(error).__name__}: {error}",
            f"each is a records.{TABLES[name][0].__name__} with values of its declared types; mend the step that fills it",
        ) from error


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a table as a Parquet file without a clock in it."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _safe(name: str) -> str:
    path = PurePosixPath(name)
    if path.parts[:1] != ("labelmaps",) or ".." in path.parts:
        raise StepError(f"a step may not write {name!r}", "a batch's files lie below labelmaps/", "mend the step")
    return str(path)


def _check_tables(job: Job, batch: Batch) -> None:
    """Names that begin with an underscore are scratch inside the wave; any other must be a table."""
    unknown = [name for name in batch.rows if name not in TABLES and name != "sources" and not name.startswith("_")]
    if unknown:
        raise StepError(
            f"{job.pipeline.name} filled {unknown[0]!r}",
            f"the tables are {', '.join(TABLES)}",
            "mend the step; a name that begins with '_' is scratch inside the wave",
        )


def _manifest(
    job: Job,
    task: Task,
    files: Mapping[str, bytes],
    rows: Mapping[str, int],
    seconds: Mapping[str, float],
    total: float,
) -> dict[str, Any]:
    return {
        "wave": task.wave,
        "pipeline": job.pipeline.name,
        "steps": job.pipeline.identity,
        "fingerprint": fingerprint_of(job.pipeline, task.sources),
        "inputs": _names(task.inputs),
        "outputs": {name: {"hash": disk.content_hash(data), "bytes": len(data)} for name, data in files.items()},
        "rows": dict(rows),
        "times": {"total": round(total, 4), "steps": {name: round(value, 4) for name, value in seconds.items()}},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _names(inputs: bytes) -> list[str]:
    text = inputs.hex()
    return [text[start : start + 16] for start in range(0, len(text), 16)]


def _bug(job: Job, step: Step, sources: Sequence[Source], error: Exception) -> StepError:
    key = sources[0].key
    return StepError(
        f"step {step.name} {step.version} failed on {key}",
        f"{type(error).__name__}: {error}",
        f"see it again: {replay_line(job, key)}",
    )


def replay_line(job: Job, key: str) -> str:
    """Return the one line that runs one source again, in this process, with the whole traceback."""
    if job.command:
        return f"{job.command} --only {shlex.quote(key)} --workers 0"
    return f"radfoundry.corpus.replay(sources, pipeline, {key!r})"


def _killer(key: str) -> Rejected:
    return Rejected(
        key, "engine", "WorkerDied", "worker-died",
        "the worker process dies whenever it works on this source, and on this source only "
        "(a crash in a decoder, no memory, or a call that never returns)",
        "try it on a machine with more memory, or look at the file with another reader",
    )  # fmt: skip


def _twin(key: str) -> Rejected:
    return Rejected(
        key, "engine", "MismatchError", "duplicate-key",
        "another source of this build has the same key; the first one went in", "give every study a key of its own",
    )  # fmt: skip


def _given_up(task: Task, error: Exception) -> MachineError:
    return MachineError(
        f"wave {task.wave} failed {_ATTEMPTS} times", f"{type(error).__name__}: {error}",
        "mend the machine and run the same command again: finished waves are safe",
    )  # fmt: skip
