"""A run that was interrupted ends as one that was not; its log and checkpoints say what happened."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from radfoundry.errors import UsageError
from radfoundry.model import load
from radfoundry.training import state
from radfoundry.training.blocks import recompute
from radfoundry.training.loop import Settings, train
from radfoundry.training.objectives import Instruct
from radfoundry.training.trackers import open_tracker

SETTINGS = Settings(
    steps=6, studies_per_step=2, questions_per_study=3, save_every=2, evaluate_every=3, augment=0.5, learning_rate=1e-3
)


class Stop(Exception):
    """What a test pulls the plug with."""


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(folder)[0].state_dict()


def _log(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def _stop_at(step: int):
    def progress(line: dict) -> None:
        if line["step"] == step:
            raise Stop

    return progress


def test_interrupted_and_resumed_gives_the_same_weights_and_log_bit_for_bit(tiny, tmp_path) -> None:
    network, processor, data = tiny()
    train(network, processor, data, tmp_path / "whole", SETTINGS, validation=data)

    network, processor, data = tiny()
    with pytest.raises(Stop):
        train(network, processor, data, tmp_path / "cut", SETTINGS, validation=data, progress=_stop_at(5))
    assert [line["step"] for line in _log(tmp_path / "cut")] == [1, 2, 3, 4, 5]
    network, processor, data = tiny(seed=99)  # weights come from the run, not from here
    train(network, processor, data, tmp_path / "cut", SETTINGS, validation=data)

    ours, theirs = _weights(tmp_path / "cut" / "last"), _weights(tmp_path / "whole" / "last")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for name in ("step", "loss", "gradient_norm", "learning_rate"):
        assert [x[name] for x in _log(tmp_path / "cut")] == [x[name] for x in _log(tmp_path / "whole")]


def test_the_log_says_loss_rates_utilisation_and_memory(tiny, tmp_path) -> None:
    network, processor, data = tiny()
    report = train(network, processor, data, tmp_path, replace(SETTINGS, steps=3), validation=data)
    line = _log(tmp_path)[-1]
    for name in ("questions", "tokens", "voxels"):
        assert line[f"{name}_per_second"] > 0
    assert 0 < line["mfu"] < 1
    assert line["memory_gb"] > 0.01
    assert line["loss"] == pytest.approx(report.loss)
    assert line["validation_loss"] == report.validation_loss
    assert load(tmp_path / "best")


def test_an_evaluator_adds_its_figures_to_the_log(tiny, tmp_path) -> None:
    network, processor, data = tiny()
    train(
        network, processor, data, tmp_path, replace(SETTINGS, steps=3), validation=data,
        evaluator=lambda _, step: {"auc": step / 10},
    )  # fmt: skip
    assert [line.get("auc") for line in _log(tmp_path)] == [None, None, 0.3]


def test_parts_of_a_step_add_up_to_the_step(tiny, tmp_path) -> None:
    losses = []
    for parts in (1, 2):
        network, processor, data = tiny(points=False)
        settings = replace(SETTINGS, steps=2, studies_per_step=4, accumulate=parts)
        train(network, processor, data, tmp_path / str(parts), settings)
        losses.append([line["loss"] for line in _log(tmp_path / str(parts))])
    assert losses[0] == pytest.approx(losses[1], abs=2e-5)


def test_recomputed_blocks_give_the_same_loss_and_gradients(tiny) -> None:
    import numpy as np

    network, processor, data = tiny(points=False)
    objective = Instruct(network, processor)
    batch = [data.example(0, 3, np.random.default_rng(0))]

    def gradients() -> list[torch.Tensor]:
        network.zero_grad()
        sum(objective(batch).values()).backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    plain = gradients()
    recompute(network)
    assert all(torch.equal(a, b) for a, b in zip(plain, gradients(), strict=True))


def test_bfloat16_trains_float32_weights(tiny, tmp_path) -> None:
    network, processor, data = tiny()
    report = train(network, processor, data, tmp_path, replace(SETTINGS, steps=2, precision="bfloat16"))
    assert math.isfinite(report.loss)
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_a_kill_between_the_renames_of_a_save_loses_nothing(tiny, tmp_path) -> None:
    network, processor, data = tiny()
    train(network, processor, data, tmp_path, replace(SETTINGS, steps=2))
    os.replace(tmp_path / "last", tmp_path / ".last.before")
    assert state.last_checkpoint(tmp_path) == tmp_path / "last"
    assert state.restore_weights(tmp_path, network).step == 2


def test_a_run_of_other_weights_is_not_gone_on_with(tiny, tmp_path) -> None:
    network, processor, data = tiny()
    train(network, processor, data, tmp_path, replace(SETTINGS, steps=2))
    network.vision.requires_grad_(False)
    with pytest.raises(UsageError, match="trained other weights"):
        train(network, processor, data, tmp_path, SETTINGS)


def test_a_tracker_is_named_by_its_import(tiny, tmp_path, monkeypatch) -> None:
    (tmp_path / "my_tracker.py").write_text(
        "class Tracker:\n    def __init__(self, run):\n        self.lines = []\n"
        "    def log(self, line):\n        self.lines.append(line['step'])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    tracker = open_tracker("my_tracker:Tracker", tmp_path)
    network, processor, data = tiny()
    train(network, processor, data, tmp_path / "run", replace(SETTINGS, steps=2), trackers=[tracker])
    assert tracker.lines == [1, 2]
    with pytest.raises(UsageError, match="no tracker"):
        open_tracker("my_tracker:Other", tmp_path)
