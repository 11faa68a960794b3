"""kill -9 at random moments, then resume with another number of workers and the sources in another order: the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from corpus_kill_target import Note
from corpus_toys import content, toy_pipeline, toys

from radfoundry.corpus import build

_TARGET = Path(__file__).with_name("corpus_kill_target.py")


def start(out: Path, runner: str, workers: int, count: int, pause_s: float, order: int) -> subprocess.Popen:
    line = [sys.executable, _TARGET, out, runner, workers, count, pause_s, order, out.parent / "log"]
    return subprocess.Popen([str(part) for part in line], start_new_session=True)


def committed(out: Path) -> set[str]:
    return {path.name for path in (out / "waves").glob("w*.json")}


def kill_after(process: subprocess.Popen, out: Path, waves: int, delay_s: float) -> bool:
    """Kill -9 the build, and it alone, once so many more waves are done; False when it ended before."""
    goal = len(committed(out)) + waves
    try:
        while len(committed(out)) < goal:
            if process.poll() is not None:
                return False
            time.sleep(0.002)
        time.sleep(delay_s)
        return True
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def session_is_empty(session: int) -> bool:
    return not any(_session(p.pid) == session and p.status() != psutil.STATUS_ZOMBIE for p in psutil.process_iter())


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def survive(tmp_path: Path, runner: str, kills: int, count: int, seed: int, pause_s: float = 0.01) -> None:
    rng = random.Random(seed)
    out, log = tmp_path / "killed", tmp_path / "log"
    happened, allowed = 0, 0
    while happened < kills:
        workers = rng.choice([1, 2, 3])
        before = committed(out)
        process = start(out, runner, workers, count, pause_s, rng.randrange(100))
        if not kill_after(process, out, rng.randrange(1, 3), rng.random() * 0.05):
            break
        happened += 1
        allowed += 4 * workers
        assert before <= committed(out)
    assert happened == kills, "the build ended before it was killed often enough"
    if runner == "local":
        _wait_for_orphans(process.pid)
    assert start(out, runner, 2, count, 0.0, 7).wait() == 0
    build(
        toys(count), toy_pipeline(pause_s=pause_s, extra=[Note(str(tmp_path / "other"))]), tmp_path / "calm", workers=0
    )
    assert content(out) == content(tmp_path / "calm")
    redone = len(log.read_text().splitlines()) - count
    assert redone <= allowed, f"{redone} sources were worked on twice; one wave a worker and kill is {allowed}"


def _wait_for_orphans(session: int) -> None:
    deadline = time.monotonic() + 5
    while not session_is_empty(session):
        assert time.monotonic() < deadline, "workers outlived the build that was killed"
        time.sleep(0.05)


@pytest.mark.timeout(200)
def test_three_kills_change_nothing(tmp_path: Path) -> None:
    survive(tmp_path, "local", kills=3, count=40, seed=time.time_ns() % 1000)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_five_kills_change_nothing(tmp_path: Path) -> None:
    survive(tmp_path, "local", kills=25, count=300, seed=11)
