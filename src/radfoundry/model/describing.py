"""What a model costs, and under what terms: parameters, tokens a scan, memory to ask and to train, licence notes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from radfoundry.model.checkpoint import KINDS, read_config
from radfoundry.model.clip import ClipConfig, ContrastiveModel
from radfoundry.model.config import VLMConfig, from_dict
from radfoundry.model.families.registry import FAMILIES
from radfoundry.model.presets import PRESETS
from radfoundry.model.vlm import VLM

__all__ = ["describe_model"]


def describe_model(what: str) -> dict[str, Any]:
    """Return the facts of a preset's name or a checkpoint folder; built on the meta device, so that no memory is spent.

    Memory counts weights alone for asking (bf16), and weights, gradients and two moments for training (float32).
    Raises UsageError for a folder that is no checkpoint.
    """
    config = PRESETS[what]() if what in PRESETS else _config(Path(what))
    with torch.device("meta"):
        model: nn.Module = VLM(config) if isinstance(config, VLMConfig) else ContrastiveModel(config)
    parameters = sum(p.numel() for p in model.parameters())
    facts = {
        "name": getattr(config, "name", "") or what,
        "family": config.family,
        "parameters": parameters,
        "view [z, y, x]": list(config.vision.size),
        "gigabytes to ask": round(2 * parameters / 2**30, 3),
        "gigabytes to train": round(16 * parameters / 2**30, 3),
        "licence": FAMILIES[config.family].licence if config.family in FAMILIES else "Apache-2.0",
    }
    if isinstance(config, VLMConfig):
        facts |= {
            "tokens a scan": config.image_tokens(config.vision.size),
            "language model": config.language.model_type,
        }
    return facts


def _config(folder: Path) -> VLMConfig | ClipConfig:
    values = read_config(folder)
    return from_dict(KINDS[values.get("kind", "vlm")], values["model"])
