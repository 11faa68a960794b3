"""A build to be killed: `python corpus_kill_target.py OUT RUNNER WORKERS COUNT PAUSE_S ORDER LOG`; RUNNER: "local", or a Ray address."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from corpus_toys import ToyStep, toy_pipeline, toys

from radfoundry.corpus import build
from radfoundry.corpus.runners import InlineRunner, LocalRunner, Runner
from radfoundry.protocols import Batch


class Note(ToyStep):
    """Writes down that a source was worked on."""

    name = "note"

    def __init__(self, log: str) -> None:
        self.log = log

    def run(self, batch: Batch) -> Batch:
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for source in batch.table("sources"):
            os.write(handle, f"{source.key}\n".encode())
        os.close(handle)
        return Batch()


def runner_of(name: str, workers: int) -> Runner:
    if name != "local":
        from radfoundry.corpus.runners.ray import RayRunner

        return RayRunner(workers, address=name)
    return LocalRunner(workers) if workers else InlineRunner()


def main(out: str, runner: str, workers: str, count: str, pause_s: str, order: str, log: str) -> None:
    sources = toys(int(count))
    random.Random(int(order)).shuffle(sources)
    carrier = runner_of(runner, int(workers))
    build(sources, toy_pipeline(pause_s=float(pause_s), extra=[Note(log)]), Path(out), runner=carrier)
    carrier.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
