"""From the hidden state of a `[SEG]` or `[BOX]` token to a mask or a box on the view that the model saw.

The image is decoded once (`PixelMaps`); every organ or lesion asked for is then a small kernel over those maps, so twenty
organs cost little more than one. Boxes are votes: each grid cell says how far the box's faces are, and the
cells' scores weigh the votes. (Coordinates as digits of text are what the published models do; a small model learns
them poorly, and a vote is exact to a fraction of a voxel.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radfoundry.model.config import SegmentationConfig, Size3, VisionConfig
from radfoundry.model.vision import VisionFeatures

__all__ = ["LightDecoder", "PixelMaps", "box_losses", "box_overlap", "mask_losses"]


@dataclass(frozen=True)
class PixelMaps:
    """One image decoded for any number of queries."""

    fine: Tensor
    """`[c, z, y, x]`, as fine as the encoder's first map."""
    coarse: Tensor
    """`[width, z, y, x]` on the map before the last stride."""
    shape: Size3
    """Voxels of the view; masks are given at this size."""


class Pointwise(nn.Linear):
    """A 1x1x1 convolution as a matrix product, which is many times faster on a CPU."""

    def forward(self, maps: Tensor) -> Tensor:
        """`[B, C, z, y, x]` -> `[B, D, z, y, x]`."""
        weight = self.weight.expand(maps.shape[0], -1, -1)
        out = torch.baddbmm(self.bias[:, None], weight, maps.flatten(2))
        return out.reshape(*out.shape[:2], *maps.shape[2:])


class LightDecoder(nn.Module):
    """A top-down pyramid over the encoder's maps, and one dynamic kernel per query."""

    def __init__(self, config: SegmentationConfig, vision: VisionConfig, prompt_width: int) -> None:
        super().__init__()
        self.config = config
        skips = [level.channels for level in vision.stem[:-1]][::-1]
        widths = [config.width, *(config.channels << i for i in reversed(range(len(skips) - 1)))]
        befores = [config.width, *widths]
        self.grid_in = Pointwise(vision.width, config.width)
        self.laterals = nn.ModuleList(Pointwise(a, b) for a, b in zip(skips, widths, strict=False))
        self.downs = nn.ModuleList(Pointwise(a, b) for a, b in zip(befores, widths[: len(skips)], strict=False))
        self.mixes = nn.ModuleList(_mix(width) for width in widths[: max(0, len(skips) - 1)])
        h, c = config.hidden, widths[-1]
        self.sizes = (h * c, h, h, 1)
        self.mask_kernel = _prompt(prompt_width, 2 * config.width, sum(self.sizes))
        self.box_query = _prompt(prompt_width, 2 * config.width, 2 * config.width)
        self.box_vote = nn.Sequential(Pointwise(config.width, config.width), nn.GELU(), Pointwise(config.width, 7))

    def decode(self, features: VisionFeatures, shape: Size3) -> list[PixelMaps]:
        """Decode a batch of images whose views have `shape` voxels."""
        x = coarse = self.grid_in(features.as_map())
        for i, (skip, lateral, down) in enumerate(zip(features.skips[::-1], self.laterals, self.downs, strict=True)):
            x = F.interpolate(down(x), size=skip.shape[2:], mode="trilinear", align_corners=False) + lateral(skip)
            if i < len(self.mixes):
                x = self.mixes[i](x)
            if i == 0:
                coarse = x
        return [PixelMaps(*pair, shape) for pair in zip(F.gelu(x), coarse, strict=True)]

    def masks(self, maps: PixelMaps, prompts: Tensor) -> Tensor:
        """Mask logits `[Q, z, y, x]` for the prompts `[Q, D]` of one image."""
        logits = self._kernel(maps.fine, prompts)
        if tuple(logits.shape[1:]) != maps.shape:
            logits = F.interpolate(logits[:, None], size=maps.shape, mode="trilinear", align_corners=False)[:, 0]
        return logits

    def mask_terms(self, maps: PixelMaps, prompts: Tensor, targets: Tensor) -> Tensor:
        """Loss of each mask `[Q]`, targets `[Q, z, y, x]`; in training on every other row and column, other ones each time.

        Masks cost most of a step where many are asked for, and a quarter of the voxels says nearly as much as all. A target that has
        no voxel there counts nothing, rather than as absent.
        """
        if not self.training or tuple(maps.fine.shape[1:]) != maps.shape:
            return mask_losses(self.masks(maps, prompts), targets)
        y, x = torch.randint(2, (2,)).tolist()
        seen = targets[:, :, y::2, x::2]
        lost = targets.flatten(1).any(dim=1) & ~seen.flatten(1).any(dim=1)
        terms = mask_losses(self._kernel(maps.fine[:, :, y::2, x::2], prompts), seen)
        return torch.where(lost, torch.zeros_like(terms), terms)

    def _kernel(self, pixels: Tensor, prompts: Tensor) -> Tensor:
        """Each prompt's two-layer kernel over pixel features `[c, z, y, x]`: `[Q, z, y, x]`."""
        h, c = self.config.hidden, pixels.shape[0]
        w1, b1, w2, b2 = self.mask_kernel(prompts).split(self.sizes, dim=1)
        inner = F.relu(w1.reshape(-1, h, c) @ pixels.flatten(1) + b1[:, :, None])
        return ((w2[:, None] @ inner).squeeze(1) + b2).reshape(-1, *pixels.shape[1:])

    def boxes(self, maps: PixelMaps, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes `[Q, 6]` as (z0, y0, x0, z1, y1, x1) from 0 to 1 of the view, and the cells' scores `[Q, cells]`."""
        scale, shift = self.box_query(prompts).chunk(2, dim=1)
        shaped = maps.coarse[None] * (1 + scale[:, :, None, None, None]) + shift[:, :, None, None, None]
        votes = self.box_vote(F.gelu(shaped)).flatten(2)
        scores, spans = votes[:, 0], F.softplus(votes[:, 1:] - 2)
        centres = cell_centres(cast(Size3, tuple(maps.coarse.shape[1:])), votes.device)
        corners = torch.cat([centres - spans[:, :3], centres + spans[:, 3:]], dim=1)
        return (scores.softmax(dim=1)[:, None] * corners).sum(dim=2), scores


def _mix(width: int) -> nn.Sequential:
    return nn.Sequential(nn.GELU(), nn.Conv3d(width, width, 3, padding=1), nn.GELU())


def _prompt(inward: int, hidden: int, outward: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(inward), nn.Linear(inward, hidden), nn.GELU(), nn.Linear(hidden, outward))


def cell_centres(grid: Size3, device: torch.device) -> Tensor:
    """Centres of the grid's cells from 0 to 1: `[3, cells]`."""
    axes = [(torch.arange(n, device=device) + 0.5) / n for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)


def mask_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Loss per mask `[Q]`: cross entropy balanced towards small things, and Dice where there is something.

    An empty target (the thing is absent) has the cross entropy alone. The weight of a foreground voxel grows with the
    root of background over foreground, so that a nodule of ten voxels counts beside a lung of twenty thousand.
    """
    logits, targets = logits.flatten(1).float(), targets.flatten(1).float()
    positive = targets.sum(dim=1, keepdim=True)
    weight = ((targets.shape[1] - positive) / positive.clamp_min(1)).clamp_min(1).sqrt()
    weights = 1 + targets * (weight - 1)
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    entropy = (weights * entropy).sum(dim=1) / weights.sum(dim=1)
    chance = logits.sigmoid()
    dice = 1 - (2 * (chance * targets).sum(dim=1) + 1) / (chance.sum(dim=1) + targets.sum(dim=1) + 1)
    return entropy + dice * (positive[:, 0] > 0)


def box_overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union and its generalised form (Rezatofighi 2019) of boxes `[Q, 6]`, each `[Q]`."""
    low, high = torch.maximum(first[:, :3], second[:, :3]), torch.minimum(first[:, 3:], second[:, 3:])
    shared = (high - low).clamp_min(0).prod(dim=1)
    volume = [(box[:, 3:] - box[:, :3]).clamp_min(0).prod(dim=1) for box in (first, second)]
    union = (volume[0] + volume[1] - shared).clamp_min(1e-9)
    hull = torch.maximum(first[:, 3:], second[:, 3:]) - torch.minimum(first[:, :3], second[:, :3])
    enclosing = hull.prod(dim=1).clamp_min(1e-9)
    overlap = shared / union
    return overlap, overlap - (enclosing - union) / enclosing


def box_losses(boxes: Tensor, scores: Tensor, targets: Tensor, grid: Size3) -> Tensor:
    """Loss per box `[Q]`: distance of the faces, generalised overlap, and the score of the cell at the box's centre."""
    centre = (targets[:, :3] + targets[:, 3:]) / 2
    size = torch.tensor(grid, device=centre.device)
    cell = (centre * size).long().clamp_min(0).minimum(size - 1)
    index = (cell[:, 0] * grid[1] + cell[:, 1]) * grid[2] + cell[:, 2]
    faces = F.l1_loss(boxes, targets, reduction="none").sum(dim=1)
    return 2 * faces + 1 - box_overlap(boxes, targets)[1] + 0.3 * F.cross_entropy(scores, index, reduction="none")
