"""Regions that are given to a model, as tokens: pooled (ours), from the mask alone (Reg2RG), by attention (RadGenome).

Shapes: R regions of one image, C encoder width, D language-model width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radfoundry.errors import UsageError
from radfoundry.model.config import RegionConfig, VisionConfig, from_dict
from radfoundry.model.vision import VisionFeatures, VisionTransformer

__all__ = ["MaskAttention", "MaskTokens", "PooledTokens", "box_mask", "build_regions"]

Project = Callable[[Tensor], Tensor]


class PooledTokens(nn.Module):
    """One token for a region: the encoder's cells under its mask, pooled, with its box beside them.

    The image's own tokens stay in the conversation, so the region keeps its surroundings.
    """

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.box = nn.Linear(6, inward)
        self.project = nn.Sequential(
            nn.LayerNorm(2 * inward), nn.Linear(2 * inward, outward), nn.GELU(), nn.Linear(outward, outward)
        )

    def forward(self, features: VisionFeatures, masks: Tensor, boxes: Tensor, project: Project) -> Tensor:
        """Regions of one image: masks `[R, z, y, x]` in voxels (0..1), boxes `[R, 6]` from 0 to 1 -> `[R, D]`."""
        del project  # a projection of its own
        weights = F.adaptive_avg_pool3d(masks[:, None].to(features.tokens.dtype), features.grid).flatten(1)
        weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-6)
        pooled = weights @ features.patches[0]
        return cast(Tensor, self.project(torch.cat([pooled, self.box(boxes.to(pooled.dtype))], dim=-1)))


class MaskTokens(nn.Module):
    """One token for where a region is: a small 3D transformer over its mask, averaged (Reg2RG).

    What is in the region comes beside it, as the tokens of an image of the region alone.
    """

    def __init__(self, config: VisionConfig, outward: int) -> None:
        super().__init__()
        self.encoder = VisionTransformer(config)
        self.project = nn.Linear(config.width, outward)

    def forward(self, features: VisionFeatures, masks: Tensor, boxes: Tensor, project: Project) -> Tensor:
        """Masks `[R, z, y, x]` -> `[R, D]`; the image and its boxes are not looked at."""
        del features, boxes, project
        return cast(Tensor, self.project(self.encoder(masks[:, None]).tokens.mean(dim=1)))


class MaskAttention(nn.Module):
    """As many tokens as the grid has cells: the mask's own cells ask the image's (RadGenome's grounded model).

    The tokens go through the image's projection, in the order y, x, z that the published model was trained with.
    """

    def __init__(self, width: int, settings: dict[str, int]) -> None:
        super().__init__()
        inner = settings.get("inner", 512), settings.get("first", 128)
        self.convolutions = nn.Sequential(
            nn.Conv3d(1, inner[1], 2, stride=2),
            nn.Conv3d(inner[1], inner[0], 2, stride=2),
            nn.Conv3d(inner[0], width, 2, stride=2),
        )
        self.attention = nn.MultiheadAttention(width, settings.get("heads", 4), batch_first=True)

    def forward(self, features: VisionFeatures, masks: Tensor, boxes: Tensor, project: Project) -> Tensor:
        """Masks `[R, z, y, x]` -> `[R * cells, D]`."""
        del boxes
        small = F.interpolate(masks[:, None], scale_factor=0.25, mode="trilinear", align_corners=True)
        queries = self.convolutions(small).permute(0, 3, 4, 2, 1).flatten(1, 3)
        image = features.as_map().permute(0, 3, 4, 2, 1).flatten(1, 3).expand(len(masks), -1, -1)
        mixed, _ = self.attention(queries, image, image, need_weights=False)
        return project(mixed).flatten(0, 1)


def build_regions(config: RegionConfig, vision: VisionConfig, outward: int) -> nn.Module:
    """Build the region module that `config.kind` names."""
    if config.kind == "pooled":
        return PooledTokens(vision.out_width, outward)
    if config.kind == "mask":
        return MaskTokens(from_dict(VisionConfig, config.settings), outward)
    if config.kind == "attention":
        return MaskAttention(vision.out_width, config.settings)
    raise UsageError(f"no region tokens of kind {config.kind!r}", "known: pooled, mask, attention")


def box_mask(box_zyx: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The mask `[z, y, x]` of a half-open voxel box."""
    axes = [torch.arange(n, device=box_zyx.device) for n in shape]
    inside = [(axis >= box_zyx[i]) & (axis < box_zyx[i + 3]) for i, axis in enumerate(axes)]
    return (inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :]).float()
