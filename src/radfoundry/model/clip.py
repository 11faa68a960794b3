"""Contrastive pairs of images and texts (M3D-CLIP's architecture; our own contrastive training uses it too)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from radfoundry.model.config import VisionConfig
from radfoundry.model.vision import build_vision

__all__ = ["ClipConfig", "ContrastiveModel", "contrastive_loss"]


@dataclass(frozen=True)
class ClipConfig:
    """An image encoder with a class token and a text encoder of transformers, projected to one space."""

    vision: VisionConfig
    text_type: str = "bert"
    text: dict[str, Any] = field(default_factory=dict)
    exponential_scale: bool = False
    """CLIP multiplies by exp(logit_scale); M3D-CLIP's weights were trained with the scale as it is."""
    family: str = "radfoundry"


class ContrastiveModel(nn.Module):
    """Images and texts to unit vectors per token; the first token stands for the whole."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = build_vision(config.vision)
        settings = AutoConfig.for_model(config.text_type, **config.text)
        self.text = AutoModel.from_config(settings)  # type: ignore[no-untyped-call]
        width = config.vision.width
        self.vision_projection = nn.Linear(width, width)
        self.text_projection = nn.Linear(int(config.text["hidden_size"]), width)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def encode_image(self, volume: Tensor) -> Tensor:
        """`[B, C, z, y, x]` -> unit vectors of all tokens `[B, 1 + N, C]`."""
        return F.normalize(self.vision_projection(self.vision(volume).tokens), dim=-1)

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """`[B, L]` -> unit vectors of all tokens `[B, L, C]`."""
        states = self.text(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return F.normalize(self.text_projection(states), dim=-1)

    def scale(self) -> Tensor:
        """The factor of the similarities."""
        return self.logit_scale.exp() if self.config.exponential_scale else self.logit_scale

    def forward(self, volume: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a batch of pairs, and the similarities `[images, texts]` times the scale."""
        images = self.encode_image(volume)[:, 0]
        texts = self.encode_text(input_ids, attention_mask)[:, 0]
        logits = self.scale() * images @ texts.T
        return contrastive_loss(logits), logits


def contrastive_loss(logits: Tensor) -> Tensor:
    """Mean of both directions' cross entropy; pair i is row i and column i."""
    labels = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
