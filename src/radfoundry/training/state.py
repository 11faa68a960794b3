"""The optimiser beside a checkpoint: safetensors and a step number, nothing that could run."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from radfoundry.model import VLM, load

__all__ = ["load_optimiser", "save_optimiser"]

_FILE = "optimiser.safetensors"


def save_optimiser(folder: Path, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Write the moments of every parameter and the step, atomically."""
    tensors = {"step": torch.tensor(step)}
    for number, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"{number}.{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    aside = folder / (_FILE + ".part")
    save_file(tensors, aside)
    os.replace(aside, folder / _FILE)


def load_optimiser(folder: Path, model: VLM, optimiser: torch.optim.Optimizer) -> int:
    """Put a saved run's weights and moments back and return its step; 0 where nothing was saved."""
    path = folder / _FILE
    if not path.exists():
        return 0
    saved, _ = load(folder)
    model.load_state_dict(saved.state_dict())
    tensors = load_file(path)
    step = int(tensors.pop("step"))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    return step
