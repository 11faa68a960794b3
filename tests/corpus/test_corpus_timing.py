"""A step that takes too long: its source is rejected, and the others go on."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from corpus_toys import ToyStep, toy_pipeline, toys

from radfoundry.corpus import Corpus, build
from radfoundry.corpus.runners import LocalRunner
from radfoundry.corpus.timing import time_limit
from radfoundry.errors import LimitError
from radfoundry.protocols import Batch


class Dawdle(ToyStep):
    """Sleeps over one source, or counts inside one call that hears no signal."""

    name = "dawdle"

    def __init__(self, key: str, deaf: bool = False) -> None:
        self.key, self.deaf = key, deaf

    def run(self, batch: Batch) -> Batch:
        if self.key in {source.key for source in batch.table("sources")}:
            sum(range(10**12)) if self.deaf else time.sleep(60)
        return Batch()


def test_a_source_that_takes_too_long_is_rejected_and_its_wave_goes_on(tmp_path: Path) -> None:
    pipeline = replace(toy_pipeline(extra=[Dawdle("study-0002")]), source_seconds=0.1)
    build(toys(6), pipeline, tmp_path, workers=0)
    corpus = Corpus(tmp_path)
    (rejected,) = corpus.rows("rejected")
    assert (rejected.key, rejected.step, rejected.code) == ("study-0002", "dawdle", "too-slow")
    assert corpus.table("studies").num_rows == 5


@pytest.mark.slow
def test_a_call_that_hears_no_signal_ends_its_worker_and_is_found(tmp_path: Path) -> None:
    pipeline = replace(toy_pipeline(extra=[Dawdle("study-0002", deaf=True)]), source_seconds=0.3)
    runner = LocalRunner(2)
    build(toys(6), pipeline, tmp_path, runner=runner)
    runner.close()
    (rejected,) = Corpus(tmp_path).rows("rejected")
    assert (rejected.key, rejected.code) == ("study-0002", "worker-died")


def test_a_limit_leaves_alarms_of_others_as_they_were() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    old = signal.setitimer(signal.ITIMER_REAL, 0.15)
    try:
        with pytest.raises(LimitError, match="took too long"), time_limit(0.02, "a nap"):
            time.sleep(1)
        with time_limit(5, "nothing"):
            pass
        assert not heard
        time.sleep(0.2)
        assert heard
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *old)


def test_nothing_is_limited_outside_the_main_thread() -> None:
    done: list[bool] = []

    def nap() -> None:
        with time_limit(0.01, "a nap"):
            time.sleep(0.05)
        done.append(True)

    thread = threading.Thread(target=nap)
    thread.start()
    thread.join()
    assert done
