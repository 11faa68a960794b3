"""Processes that train together do what one does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from radfoundry.errors import UsageError
from radfoundry.model import load
from radfoundry.training.distributed import Ranks, alone
from radfoundry.training.loop import Settings, train

SCRIPT = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tiny_studies import build
from radfoundry.training.distributed import joined
from radfoundry.training.loop import Settings, train

run, values = Path(sys.argv[2]), json.loads(sys.argv[3])
last = values.pop("killed_after", None)
with joined() as ranks:
    network, processor, data = build(points=False, seed=ranks.rank)  # only the first process's weights count
    if ranks.world > 1:
        from torch import distributed
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, 0)
    killed = lambda line: os.kill(os.getpid(), 9) if line["step"] == last else None
    train(network, processor, data, run, Settings(**values), validation=data, ranks=ranks, progress=killed)
"""
BASE = {"studies_per_step": 4, "questions_per_study": 3, "save_every": 50, "evaluate_every": 10, "learning_rate": 1e-3}


def _launch(run: Path, processes: int, fails: bool = False, **values: object) -> list[dict]:
    script = run.parent / "script.py"
    script.write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*torchrun, str(script), str(Path(__file__).parent), str(run), json.dumps({**BASE, **values})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert bool(done.returncode) == fails, done.stderr[-3000:]
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_every_process_takes_its_part_by_index() -> None:
    parts = [Ranks(torch.device("cpu"), rank, 3).part(range(7)) for rank in range(3)]
    assert parts == [[0, 3, 6], [1, 4], [2, 5]]


def test_a_step_that_cannot_be_shared_evenly_is_refused(tiny, tmp_path) -> None:
    network, processor, data = tiny()
    with pytest.raises(UsageError, match="3 studies a step over 2 processes"):
        train(network, processor, data, tmp_path, Settings(studies_per_step=3), ranks=Ranks(torch.device("cpu"), 0, 2))


def test_a_process_without_torchrun_is_alone() -> None:
    assert alone().first
    assert alone().agree(2.5) == 2.5


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_one_and_two_processes_agree_on_the_first_20_losses_and_resume(tmp_path, sharding) -> None:
    one = _launch(tmp_path / "one", 1, steps=20)
    two = _launch(tmp_path / "two", 2, steps=20, sharding=sharding)
    for name in ("loss", "gradient_norm", "validation_loss"):
        assert [x[name] for x in one if name in x] == pytest.approx([x[name] for x in two if name in x], abs=2e-4), name

    _launch(tmp_path / "cut", 2, True, steps=20, sharding=sharding, save_every=8, killed_after=14)
    cut = _launch(tmp_path / "cut", 2, steps=20, sharding=sharding, save_every=8)
    assert [x["step"] for x in cut] == list(range(1, 21))
    assert [x["loss"] for x in cut] == [x["loss"] for x in two]
    ours, theirs = (load(tmp_path / run / "last")[0].state_dict() for run in ("cut", "two"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
