"""The engine's own price: `python benchmarks/engine.py [rows|cores|ray|plain|beside] [--rows N]`, JSON lines to standard output.

rows: N cheap rows through five Python steps, in this process and on two workers; overhead a row, the most memory that all
processes held until 100,000 rows, and in all. ray: the same on a local Ray. plain: the same five functions in a loop, no engine:
what the work itself costs. beside: all of these in one run, then Daft and Ray Data on the same functions (pip install daft "ray[data]").
cores: CPU-bound work on two workers beside two independent processes, in turns of one run.
"all" is plain, rows and cores. Flags: --rows, --workers; for cores --turns and --rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from radfoundry.corpus import Pace, Pipeline, build
from radfoundry.corpus.runners import InlineRunner, LocalRunner, Runner
from radfoundry.protocols import Batch, Needs
from radfoundry.records import Sentence

_WAVE_ROWS = 20_000


class CheapSource(NamedTuple):
    """A row that is its number."""

    key: str
    number: int


class CheapSources(Sequence[CheapSource]):
    """So many rows, made when they are asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> CheapSource:  # type: ignore[override]
        if index >= self._count:
            raise IndexError(index)
        return CheapSource(f"row-{index:08d}", index)


class CheapStep:
    """Step number `place` of five: the first takes sources, the last makes sentences, those between change a dictionary."""

    version, needs, reads, fills = "1", "cpu", (), ()
    needs: Needs

    def __init__(self, place: int) -> None:
        self.place, self.name = place, f"cheap-{place}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    def run(self, batch: Batch) -> Batch:
        return Batch({_TABLE[self.place + 1]: [_WORK[self.place](row) for row in batch.table(_TABLE[self.place])]})


def _first(source: CheapSource) -> dict[str, Any]:
    return {"key": source.key, "number": source.number}


def _square(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"square": row["number"] * row["number"] % 1009}


def _word(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"text": f"the remainder is {row['square']}"}


def _length(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"end": len(row["text"])}


def _sentence(row: dict[str, Any]) -> Sentence:
    return Sentence(row["key"], "rep", "findings", row["number"], 0, row["end"], row["text"])


_WORK = (_first, _square, _word, _length, _sentence)
_TABLE = ("sources", "_a", "_b", "_c", "_d", "sentences")


def cheap_pipeline() -> Pipeline:
    return Pipeline("cheap", [CheapStep(place) for place in range(5)], _WAVE_ROWS, _WAVE_ROWS)


class SpinStep(CheapStep):
    """Counts in pure Python, holding the interpreter, for as long as a small study takes."""

    def __init__(self) -> None:
        self.name, self.place = "spin", 0

    def run(self, batch: Batch) -> Batch:
        return Batch({"_spun": [spin() for _ in batch.table("sources")]})


def spin(loops: int = 1_600_000) -> int:
    total = 0
    for i in range(loops):
        total += i * i % 7
    return total


@contextmanager
def fresh_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder:
        yield Path(folder)


class TreeMemory(threading.Thread):
    """Samples the memory of this process and all its children (sum of unique set sizes): now, and the largest."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb, self._over = 0.0, threading.Event()

    def run(self) -> None:
        while not self._over.wait(2.0):
            self.now_mb()

    def now_mb(self) -> float:
        me = psutil.Process()
        now = sum(_own_bytes(p) for p in [me, *me.children(recursive=True)]) / 2**20
        self.peak_mb = max(self.peak_mb, now)
        return now

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self.peak_mb


def _own_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def run_rows(rows: int, runner: Runner) -> dict[str, Any]:
    with fresh_folder() as out:  # workers start with their first tasks, and that is not a price a row
        build(CheapSources(8), Pipeline("warm", cheap_pipeline().steps), out, runner=runner)
    memory, started, cpu = TreeMemory(), time.perf_counter(), _cpu_s()
    early: list[float] = []
    memory.start()

    def watch(pace: Pace) -> None:
        if not early and pace.done >= min(rows // 10, 100_000):
            memory.now_mb()
            early.append(memory.peak_mb)

    with fresh_folder() as out:
        report = build(CheapSources(rows), cheap_pipeline(), out, runner=runner, progress=watch)
        wall, cpu = time.perf_counter() - started, _cpu_s() - cpu
        runner.close()
    work, peak = sum(report.step_seconds.values()), memory.stop()
    return {
        "rows": report.rows["sentences"], "waves": report.waves_done, "wall_us_per_row": round(wall / rows * 1e6, 2),
        "cpu_us_per_row": round(cpu / rows * 1e6, 2), "steps_us_per_row": round(work / rows * 1e6, 2),
        "overhead_us_per_row": round((wall - work / runner.workers) / rows * 1e6, 2),
        "tree_mb_early": round(early[0]), "tree_mb_peak": round(peak), "memory_growth": round(peak / early[0] - 1, 3),
    }  # fmt: skip


def _cpu_s() -> float:
    """Seconds of CPU of this process and of its living children: what other work on the machine does not stretch."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in [me, *me.children(recursive=True)])


def bench_rows(rows: int, workers: int) -> None:
    emit("rows", "inline", run_rows(rows, InlineRunner()))
    emit("rows", f"local, {workers} workers", run_rows(rows, LocalRunner(workers)))


def bench_ray(rows: int, workers: int) -> None:
    from radfoundry.corpus.runners.ray import RayRunner

    emit("rows", f"ray, {workers} workers", run_rows(rows, RayRunner(workers)))


def bench_plain(rows: int) -> None:
    started, cpu = time.perf_counter(), _cpu_s()
    for row in CheapSources(rows):
        value: Any = row
        for work in _WORK:
            value = work(value)
    cpu = _cpu_s() - cpu
    emit(
        "rows",
        "no engine",
        {
            "rows": rows,
            "wall_us_per_row": round((time.perf_counter() - started) / rows * 1e6, 2),
            "cpu_us_per_row": round(cpu / rows * 1e6, 2),
        },
    )


def bench_beside(rows: int, workers: int) -> None:
    """Ours, then other engines on the same five functions, rows in memory to one Parquet file; what is not installed is named."""
    bench_plain(rows)
    bench_rows(rows, workers)
    bench_ray(rows, workers)
    for name, engine in (("daft, row functions", _daft), ("ray data, map_batches", _ray_data)):
        try:
            with fresh_folder() as out:
                seconds = engine(rows, out / "sentences.parquet")
        except ImportError as error:
            emit("beside", name, {"rows": rows, "wall_us_per_row": None, "reason": str(error)})
        else:
            emit("beside", name, {"rows": rows, "wall_us_per_row": round(seconds / rows * 1e6, 2)})


def _numbers(rows: int) -> pa.Table:
    return pa.table({"key": [source.key for source in CheapSources(rows)], "number": pa.array(range(rows), pa.int64())})


def _daft(rows: int, out: Path) -> float:
    import daft

    @daft.func
    def square(number: int) -> int:
        return number * number % 1009

    @daft.func
    def word(square: int) -> str:
        return f"the remainder is {square}"

    @daft.func
    def length(text: str) -> int:
        return len(text)

    @daft.func
    def same(key: str) -> str:
        return key

    table, started = _numbers(rows), time.perf_counter()
    frame = (
        daft.from_arrow(table)
        .with_column("id", same(daft.col("key")))
        .with_column("square", square(daft.col("number")))
    )
    frame = frame.with_column("text", word(daft.col("square"))).with_column("end", length(daft.col("text")))
    done = frame.with_column("copy", same(daft.col("text"))).to_arrow()
    pq.write_table(done, out)
    return time.perf_counter() - started


def _ray_data(rows: int, out: Path) -> float:
    import ray.data

    def step(column: str, made: str, work: Any) -> Any:
        def run(table: pa.Table) -> pa.Table:
            return table.append_column(made, pa.array([work(value) for value in table[column].to_pylist()]))

        return run

    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**29, ignore_reinit_error=True
    )
    table, started = _numbers(rows), time.perf_counter()
    ray.data.DataContext.get_current().enable_progress_bars = False
    data = ray.data.from_arrow(table)
    steps = [("key", "id", str), ("number", "square", lambda n: n * n % 1009), ("square", "text", "the remainder is {}".format),
             ("text", "end", len), ("text", "copy", str)]  # fmt: skip
    for column, made, work in steps:
        data = data.map_batches(step(column, made, work), batch_format="pyarrow", batch_size=_WAVE_ROWS)
    pq.write_table(pa.concat_tables(data.iter_batches(batch_format="pyarrow", batch_size=_WAVE_ROWS)), out)
    seconds = time.perf_counter() - started
    ray.shutdown()
    return seconds


def bench_cores(rounds: int, turns: int) -> None:
    """One process, two processes and the engine take turns; the best of each, since other work may share the cores."""
    alone, pair, ours = [], [], []
    with fresh_folder() as out:
        runner = LocalRunner(2)
        build(CheapSources(8), _spinning(), out / "warm", runner=runner)
        for turn in range(turns):
            alone.append(_seconds_of([_spinner(rounds)]))
            pair.append(_seconds_of([_spinner(rounds // 2)] * 2))
            started = time.perf_counter()
            build(CheapSources(rounds), _spinning(), out / str(turn), runner=runner)
            ours.append(time.perf_counter() - started)
        runner.close()
    emit("cores", "local, 2 workers", {
        "one_process_s": round(min(alone), 2), "two_processes_speedup": round(min(alone) / min(pair), 2),
        "engine_speedup": round(min(alone) / min(ours), 2), "of_two_processes": round(min(pair) / min(ours), 3),
        "of_two_processes_by_turn": [round(p / o, 3) for p, o in zip(pair, ours, strict=True)],
    })  # fmt: skip


def _spinning() -> Pipeline:
    return Pipeline("spin", [SpinStep()], 6)


def _spinner(rounds: int) -> list[str]:
    code = "import time; from engine import spin; input(); t = time.perf_counter(); "
    return [sys.executable, "-c", code + f"[spin() for _ in range({rounds})]; print(time.perf_counter() - t)"]


def _seconds_of(lines: list[list[str]]) -> float:
    """Start all, let them import, then let them go at once; the seconds of the slowest."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": Path(__file__).parent}
    processes = [subprocess.Popen(line, **pipes) for line in lines]  # type: ignore[call-overload]
    time.sleep(2)
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return max(float(process.communicate()[0]) for process in processes)


def emit(what: str, how: str, figures: Mapping[str, Any]) -> None:
    print(json.dumps({"bench": f"engine-{what}", "how": how, **figures}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=["all", "rows", "cores", "ray", "plain", "beside"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=96)
    given = parser.parse_args()
    if given.what in ("all", "plain"):
        bench_plain(given.rows)
    if given.what in ("all", "rows"):
        bench_rows(given.rows, given.workers)
    if given.what in ("all", "cores"):
        bench_cores(given.rounds, given.turns)
    if given.what == "ray":
        bench_ray(given.rows, given.workers)
    if given.what == "beside":
        bench_beside(given.rows, given.workers)


if __name__ == "__main__":
    main()
