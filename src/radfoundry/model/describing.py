"""What a model costs: parameters, tokens a scan, memory to ask and to train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from radfoundry.model.checkpoint import read_config
from radfoundry.model.config import VLMConfig, from_dict
from radfoundry.model.presets import PRESETS
from radfoundry.model.vlm import VLM

__all__ = ["describe_model"]


def describe_model(what: str) -> dict[str, Any]:
    """Return the facts of a preset's name or a checkpoint folder; built on the meta device, so that no memory is spent.

    Memory counts weights alone for asking (bf16) and weights, gradients and two moments for training (float32).
    Raises UsageError for a folder that is no checkpoint.
    """
    config = PRESETS[what]() if what in PRESETS else from_dict(VLMConfig, read_config(Path(what))["model"])
    with torch.device("meta"):
        model = VLM(config)
    parameters = sum(p.numel() for p in model.parameters())
    return {
        "name": config.name or what,
        "family": config.family,
        "parameters": parameters,
        "view [z, y, x]": list(config.vision.size),
        "tokens a scan": config.image_tokens(config.vision.size),
        "language model": config.language.model_type,
        "gigabytes to ask": round(2 * parameters / 2**30, 3),
        "gigabytes to train": round(16 * parameters / 2**30, 3),
    }
