"""The engine: sources through a pipeline into a corpus folder; killed anywhere, it goes on with the same bytes."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radfoundry.corpus import disk, ledger
from radfoundry.corpus.about import CorpusInfo, keep_command
from radfoundry.corpus.card import write_card
from radfoundry.corpus.closing import close_corpus
from radfoundry.corpus.corpus import Corpus
from radfoundry.corpus.isolate import clear_suspect
from radfoundry.corpus.pipeline import Pipeline, Source, fingerprint_of
from radfoundry.corpus.plan import PlannedWave, plan_waves
from radfoundry.corpus.progress import Pace, PaceKeeper, Progress
from radfoundry.corpus.runners import Died, InlineRunner, LocalRunner, Runner
from radfoundry.corpus.wave import Job, Receipt, Task
from radfoundry.errors import UsageError
from radfoundry.records import Rejected

__all__ = ["BuildReport", "build"]


@dataclass(frozen=True)
class BuildReport:
    """What a build did. `rows` counts the whole corpus, `sources` and `seconds` this run."""

    out: Path
    rows: dict[str, int]
    sources: int
    rejected: int
    waves_done: int
    waves_skipped: int
    seconds: float
    step_seconds: dict[str, float] = field(default_factory=dict)


def build(
    sources: Sequence[Source],
    pipeline: Pipeline,
    out: Path,
    *,
    runner: Runner | None = None,
    workers: int | None = None,
    limit: int | None = None,
    only: Collection[str] | None = None,
    retry_rejected: bool = False,
    progress: Progress | None = None,
    problems: Sequence[Rejected] = (),
    info: CorpusInfo | None = None,
    pictures: Callable[[Corpus], Mapping[str, bytes]] | None = None,
    command: str = "",
) -> BuildReport:
    """Run every source through the pipeline and write the corpus; waves that are done already are skipped.

    runner: where waves run; without one, `workers` processes (None: all cores, 0: this process).
    limit: the first so many sources in the order of their hashed keys, a fair draw. only: these keys.
    retry_rejected: do waves with rejected rows again. problems: what was found and cannot be a source; it goes into `rejected`.
    pictures: draws what the card shows (file name -> PNG); drawing is no business of this room.
    command: the command line, quoted in the error when a step has a bug.
    Raises StepError for a bug in a step, MachineError when the machine gives up, UsageError for a wrong call.
    """
    started = time.perf_counter()
    job = Job(pipeline, Path(out), command)
    with disk.machine_faults(job.out), _only_builder(job.out):
        _check_same_kind(job)
        keep_command(job.out, command)
        planned = plan_waves(sources, pipeline.wave_rows)
        chosen = _choose(job.out, planned, sources, limit, only)
        todo = [wave for wave in chosen if not _is_done(job, wave, sources, retry_rejected)]
        keeper = _keeper(job, chosen, todo)
        with _running(runner, workers) as carrier:
            for receipt in _receipts(carrier, job, todo, sources):
                keeper.add(receipt)
                if progress is not None:
                    progress(keeper.pace(time.perf_counter() - started, carrier.workers))
        if limit is None and only is None:
            _drop_stale(job.out, {wave.name for wave in planned})
        rows = close_corpus(job.out, pipeline, info or CorpusInfo(), problems)
        corpus = Corpus(job.out)
        write_card(corpus, pictures(corpus) if pictures else None)
    return _report(job, rows, keeper.pace(time.perf_counter() - started), len(todo), len(chosen) - len(todo))


@contextmanager
def _only_builder(out: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system gives back however this process ends."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another build is writing {out}", "one folder has one builder at a time", "wait for it, or stop it"
            ) from error
        shutil.rmtree(out / ledger.STAGING, ignore_errors=True)
        yield


def _check_same_kind(job: Job) -> None:
    first = next(ledger.manifests(job.out), None)
    if first is not None and first["pipeline"] != job.pipeline.name:
        raise UsageError(
            f"{job.out} holds a corpus made by {first['pipeline']!r}",
            f"{job.pipeline.name!r} would mix its rows with those",
            "choose another folder",
        )


def _choose(
    out: Path,
    planned: Sequence[PlannedWave],
    sources: Sequence[Source],
    limit: int | None,
    only: Collection[str] | None,
) -> list[PlannedWave]:
    """Cut the waves to what was asked for. A wave that was committed with more keeps that: asking for less loses nothing."""
    if limit is None and only is None:
        return list(planned)
    wanted = _wanted(planned, sources, limit, only)
    cut = (_with_earlier(out, wave, np.isin(wave.places, wanted)) for wave in planned)
    return [wave for wave in cut if wave.places.size]


def _wanted(
    planned: Sequence[PlannedWave], sources: Sequence[Source], limit: int | None, only: Collection[str] | None
) -> list[int]:
    places = [place for wave in planned for place in wave.places.tolist()]
    if only is not None:
        keys = set(only)
        places = [place for place in places if sources[place].key in keys]
        missing = keys - {sources[place].key for place in places}
        if missing:
            raise UsageError(
                f"there is no source {min(missing)!r}", f"{len(sources)} sources were found", "look at the keys"
            )
    return places[:limit]


def _with_earlier(out: Path, wave: PlannedWave, wanted: npt.NDArray[np.bool_]) -> PlannedWave:
    if wanted.any() and not wanted.all() and ledger.manifest_path(out, wave.name).exists():
        earlier = [int(text, 16) for text in ledger.read_manifest(out, wave.name)["inputs"]]
        wanted = wanted | np.isin(wave.hashes, np.array(earlier, dtype=np.uint64))
    return wave.only(wanted)


def _is_done(job: Job, wave: PlannedWave, sources: Sequence[Source], retry_rejected: bool) -> bool:
    if not ledger.manifest_path(job.out, wave.name).exists():
        return False
    manifest = ledger.read_manifest(job.out, wave.name)
    if retry_rejected and manifest["rows"].get("rejected"):
        return False
    return bool(manifest["fingerprint"] == fingerprint_of(job.pipeline, wave.sources(sources)))


def _keeper(job: Job, chosen: Sequence[PlannedWave], todo: Sequence[PlannedWave]) -> PaceKeeper:
    total, left = (sum(len(wave.places) for wave in waves) for waves in (chosen, todo))
    return PaceKeeper(total, total - left, tuple(step.name for step in job.pipeline.steps))


@contextmanager
def _running(runner: Runner | None, workers: int | None) -> Iterator[Runner]:
    """Give the caller's runner as it is, or one of our own that is closed afterwards."""
    if runner is not None:
        yield runner
        return
    own: Runner = InlineRunner() if workers == 0 else LocalRunner(workers)
    try:
        yield own
    finally:
        own.close()


def _receipts(runner: Runner, job: Job, todo: Sequence[PlannedWave], sources: Sequence[Source]) -> Iterator[Receipt]:
    """Carry out the waves; those whose worker died come last, one at a time."""
    suspects: list[Task] = []
    for outcome in runner.run(job, (Task(wave.name, wave.sources(sources), wave.inputs) for wave in todo)):
        if isinstance(outcome, Died):
            suspects.append(outcome.task)
        else:
            yield outcome
    for task in suspects:
        yield clear_suspect(runner, job, task)


def _drop_stale(out: Path, planned: Collection[str]) -> None:
    """Forget waves that the sources no longer give (they were split or merged); their rows are in other waves now."""
    for path in (out / "waves").glob("w*.json"):
        if path.stem not in planned:
            disk.remove(path)


def _report(job: Job, rows: dict[str, int], pace: Pace, done: int, skipped: int) -> BuildReport:
    steps = {step.name: step.seconds for step in pace.steps}
    return BuildReport(job.out, rows, pace.done, rows.get("rejected", 0), done, skipped, pace.seconds, steps)
