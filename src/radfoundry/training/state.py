"""A run's checkpoint: weights, optimiser and place in the run, written in one step; nothing in it could run.

Draws follow from (seed, step) alone, so the step is the loader's position and the state of every random generator.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from radfoundry.errors import UsageError
from radfoundry.model import VLM, Processor, Vocabulary, load
from radfoundry.model.checkpoint import load_clip, save_state
from radfoundry.model.clip import ContrastiveModel
from radfoundry.model.weights import unique_state
from radfoundry.training.distributed import Ranks, like, whole

__all__ = [
    "Place",
    "forget_after",
    "last_checkpoint",
    "restore_moments",
    "restore_weights",
    "save_run",
    "save_weights",
    "trained_checkpoint",
]

_FILE = "optimiser.safetensors"


@dataclass
class Place:
    """How far a run is."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    """The lowest validation loss so far."""


def last_checkpoint(run: Path) -> Path | None:
    """Return a run's last whole checkpoint; None where there is none."""
    last, before = run / "last", run / ".last.before"
    if not last.exists() and before.exists():  # killed between the two renames of `save_run`
        os.replace(before, last)
    return last if (last / "config.json").exists() else None


def trained_checkpoint(run: Path) -> Path | None:
    """Return the last whole checkpoint that training wrote; None where there is none, or only weights that have not learned yet."""
    folder = last_checkpoint(run)
    return folder if folder is not None and (folder / _FILE).exists() else None


def save_run(
    run: Path,
    network: VLM | ContrastiveModel,
    words: Processor | Vocabulary,
    optimiser: torch.optim.Optimizer,
    place: Place,
    ranks: Ranks,
) -> None:
    """Write `run/last`; every process takes part, the first one writes. The one before stays until this one is whole."""
    new, last, before = run / ".last.new", run / "last", run / ".last.before"
    save_weights(new, network, words, ranks)
    moments = _moments(network, optimiser)
    if ranks.first:
        about = {"step": str(place.step), "seconds": repr(place.seconds), "best": repr(place.best)}
        save_file(moments, new / _FILE, metadata=about)
        with (new / _FILE).open("rb") as handle:
            os.fsync(handle.fileno())
        shutil.rmtree(before, ignore_errors=True)
        if last.exists():
            os.replace(last, before)
        os.replace(new, last)
        shutil.rmtree(before, ignore_errors=True)
    ranks.wait()


def save_weights(folder: Path, network: VLM | ContrastiveModel, words: Processor | Vocabulary, ranks: Ranks) -> None:
    """Write a checkpoint without the optimiser; every process takes part, the first one writes."""
    state = {name: whole(tensor.detach()).cpu() for name, tensor in unique_state(network).items()}
    if ranks.first:
        save_state(state, network.config, words.vocabulary if isinstance(words, Processor) else words, folder)
    ranks.wait()


def restore_weights(run: Path, network: VLM | ContrastiveModel) -> Place:
    """Put a saved run's weights into a network that is not spread yet; return where the run was."""
    folder = trained_checkpoint(run)
    if folder is None:
        return Place()
    saved = load(folder)[0] if isinstance(network, VLM) else load_clip(folder)[0]
    network.load_state_dict(saved.state_dict())
    with safe_open(folder / _FILE, framework="pt") as handle:
        about = handle.metadata() or {}
    return Place(int(about["step"]), float(about["seconds"]), float(about["best"]))


def restore_moments(run: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Put a saved run's moments into the optimiser of a network that is spread already.

    Raises:
        UsageError: the saved run trained other parameters.
    """
    folder = trained_checkpoint(run)
    if folder is None:
        return
    parameters = dict(network.named_parameters())
    for key, value in load_file(folder / _FILE).items():
        name, moment = key.rsplit("|", 1)
        if name not in parameters or not parameters[name].requires_grad:
            raise UsageError(
                f"{folder} is of a run that trained other weights",
                f"{name} is not trained now",
                "name another folder with --run, or train as before",
            )
        optimiser.state[parameters[name]][moment] = like(value, parameters[name]) if value.ndim else value


def _moments(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    out = {}
    for name, parameter in network.named_parameters():
        for moment, value in optimiser.state.get(parameter, {}).items():
            out[f"{name}|{moment}"] = whole(value.detach()).cpu().contiguous()
    return out


def forget_after(log: Path, step: int) -> None:
    """Drop the lines of steps that a resumed run does again, and a line cut short."""
    if not log.exists():
        return
    lines = [line for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    aside = log.with_suffix(".part")
    aside.write_text("".join(kept), encoding="utf-8")
    os.replace(aside, log)
