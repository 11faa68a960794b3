"""From the hidden state of a `[SEG]` or `[BOX]` token to a mask or a box on the view that the model saw.

The image is decoded once (`PixelMaps`). What has a name that the decoder knows is marked at once, without being asked, and becomes
things (`things.py`). Everything that is asked for is then a small kernel over the voxel map, which may also choose among those
things, so twenty organs cost little more than one. A box is the extent of a mask. (Coordinates as digits of text are
what the published models do; a small model learns them poorly.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radfoundry.grounding.classical.morphology import largest_piece
from radfoundry.model.config import SegmentationConfig, Size3, VisionConfig
from radfoundry.model.things import Scene, Things, ThingTokens, cells_of, company_of, describe, find_things
from radfoundry.model.vision import VisionFeatures, convolution

__all__ = ["LightDecoder", "PixelMaps", "box_losses", "mask_losses"]


@dataclass(frozen=True)
class PixelMaps:
    """One image decoded for any number of queries."""

    fine: Tensor
    """`[channels, z, y, x]`, as fine as the view."""
    volume: Tensor
    """`[inputs, z, y, x]`."""
    company: Tensor | None = None
    """What lies around: see `things.Scene`; None for a decoder that knows no names."""
    things: Things | None = None

    @property
    def shape(self) -> Size3:
        """Voxels of the view; masks are given at this size."""
        return cast(Size3, tuple(self.fine.shape[1:]))


class Pyramid(nn.Module):
    """From the encoder's maps down to a map as fine as the view; the first stride is undone by spreading channels over voxels."""

    def __init__(self, channels: int, vision: VisionConfig) -> None:
        super().__init__()
        widths = [level.channels for level in vision.stem]
        self.stride = vision.stem[0].stride
        self.downs = nn.ModuleList(nn.Conv3d(a, b, 1) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.mixes = nn.ModuleList(convolution(width, width) for width in widths[-2::-1])
        self.spread = nn.Conv3d(widths[0], channels * self.stride[0] * self.stride[1] * self.stride[2], 1)
        self.direct = nn.Conv3d(vision.inputs, channels, 3, padding=1)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The volume and its maps, finest first -> `[B, channels, z, y, x]`."""
        volume, *levels = maps
        x = levels[-1]
        for skip, down, mix in zip(levels[-2::-1], self.downs, self.mixes, strict=True):
            x = mix(F.interpolate(down(x), size=skip.shape[2:], mode="nearest") + skip)
        return F.gelu(self._spread(self.spread(x), cast(Size3, tuple(volume.shape[2:]))) + self.direct(volume))

    def _spread(self, maps: Tensor, shape: Size3) -> Tensor:
        (a, b, c), (batch, _, z, y, x) = self.stride, maps.shape
        maps = maps.reshape(batch, -1, a, b, c, z, y, x).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return maps.reshape(batch, -1, z * a, y * b, x * c)[:, :, : shape[0], : shape[1], : shape[2]]


class LightDecoder(nn.Module):
    """A voxel map, the names that are marked on it unasked, and one dynamic kernel per query."""

    def __init__(self, config: SegmentationConfig, vision: VisionConfig, prompt_width: int) -> None:
        super().__init__()
        self.config = config
        self.pyramid = Pyramid(config.channels, vision)
        h, c = config.hidden, config.channels
        self.sizes = (h * c, h, h, 1)
        self.kernel = _prompt(prompt_width, 2 * config.width, sum(self.sizes))
        self.names = nn.Linear(c, 1 + len(config.names)) if config.names else None
        self.starts = [0, 0, 0]
        if config.names:
            self.tokens = ThingTokens(config, prompt_width)
            self.choice = _prompt(prompt_width, 2 * config.width, config.width)
            self.key = nn.Linear(prompt_width, config.width)

    def draw_sample(self) -> None:
        """Draw which voxels the losses look at: once for all images of a step, so that any number of processes draws the same."""
        self.starts = torch.randint(2, (3,)).tolist()

    def decode(self, features: VisionFeatures) -> list[PixelMaps]:
        """Decode a batch of images of one shape."""
        fine = self.pyramid(features.skips)
        if self.names is None:
            return [PixelMaps(*pair) for pair in zip(fine, features.skips[0], strict=True)]
        return [self._known(*pair) for pair in zip(fine, features.skips[0], strict=True)]

    def _known(self, fine: Tensor, volume: Tensor) -> PixelMaps:
        company = company_of(self._chances(cells_of(fine).movedim(0, -1)).movedim(-1, 0))
        maps = PixelMaps(fine, volume, company)
        marked = cast(nn.Linear, self.names)(fine.flatten(1).T).argmax(dim=1).reshape(maps.shape)
        return replace(maps, things=find_things(marked, self._scene(maps), self.config.things))

    def _scene(self, maps: PixelMaps) -> Scene:
        return Scene(maps.volume, maps.fine, cast(Tensor, maps.company), self._chances)

    def _chances(self, voxels: Tensor) -> Tensor:
        head = cast(nn.Linear, self.names)
        return cast(Tensor, head(voxels.to(head.weight.dtype)).softmax(dim=-1))

    def thing_tokens(self, maps: PixelMaps) -> Tensor:
        """One token a slot of the things that were found: `[slots, D]`."""
        things = cast(Things, maps.things)
        return cast(Tensor, self.tokens(things.names, things.company, things.measures, things.look))

    def region_tokens(self, maps: PixelMaps, masks: Tensor) -> Tensor:
        """One token a given region `[R, z, y, x]`, described like a thing: `[R, D]`."""
        number = torch.arange(1, len(masks) + 1, device=masks.device)[:, None, None, None]
        described = describe((masks >= 0.5) * number, len(masks), self._scene(maps))
        return cast(Tensor, self.tokens(*described, given=True))

    def masks(self, maps: PixelMaps, prompts: Tensor) -> Tensor:
        """Mask logits `[Q, z, y, x]` for the prompts `[Q, D]` of one image."""
        labels = maps.things.labels if maps.things is not None else None
        return self._logits(maps.fine, labels, self._chosen(maps, prompts), prompts)

    def mask_terms(self, maps: PixelMaps, prompts: Tensor, targets: Tensor) -> Tensor:
        """Loss of each mask `[Q]`, targets `[Q, z, y, x]`; in training on every other slice, row and column, other ones each time.

        Masks cost most of a step where many are asked for, and an eighth of the voxels says nearly as much as all. A target that has
        no voxel there counts nothing, rather than as absent.
        """
        if not self.training:
            return mask_losses(self.masks(maps, prompts), targets)
        logits, (seen,) = self._sampled(maps, prompts, [targets])
        lost = targets.flatten(1).any(dim=1) & ~seen.flatten(1).any(dim=1)
        return torch.where(lost, 0.0, mask_losses(logits, seen))

    def box_terms(self, maps: PixelMaps, prompts: Tensor, boxes: Tensor) -> Tensor:
        """Loss of each box `[Q]`, boxes `[Q, 6]` from 0 to 1: the mask's shadows along the axes against the box's."""
        logits = self._sampled(maps, prompts, [])[0] if self.training else self.masks(maps, prompts)
        return box_losses(logits, boxes)

    def boxes(self, maps: PixelMaps, prompts: Tensor) -> Tensor:
        """Boxes `[Q, 6]` as (z0, y0, x0, z1, y1, x1) from 0 to 1 of the view: around the largest piece of each mask."""
        return torch.stack([_extent(logits) for logits in self.masks(maps, prompts)])

    def _sampled(self, maps: PixelMaps, prompts: Tensor, targets: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        cut = tuple(slice(start if n > 1 else 0, None, 2) for start, n in zip(self.starts, maps.shape, strict=True))
        labels = maps.things.labels[cut] if maps.things is not None else None
        logits = self._logits(maps.fine[(slice(None), *cut)], labels, self._chosen(maps, prompts), prompts)
        return logits, [target[(slice(None), *cut)] for target in targets]

    def _chosen(self, maps: PixelMaps, prompts: Tensor) -> Tensor | None:
        """What choosing each thing adds to the logits of its voxels: `[Q, 1 + slots]`, nothing first."""
        if maps.things is None:
            return None
        keys = self.key(self.thing_tokens(maps))
        added = self.choice(prompts) @ keys.T * (12 / self.config.width)
        return F.pad(added, (1, 0))

    def _logits(self, pixels: Tensor, labels: Tensor | None, chosen: Tensor | None, prompts: Tensor) -> Tensor:
        """Each prompt's two-layer kernel over voxels `[c, z, y, x]`, and the things that it chooses: `[Q, z, y, x]`."""
        h, c = self.config.hidden, pixels.shape[0]
        w1, b1, w2, b2 = self.kernel(prompts).split(self.sizes, dim=1)
        inner = F.relu(w1.reshape(-1, h, c) @ pixels.flatten(1).to(w1.dtype) + b1[:, :, None])
        logits = (w2[:, None] @ inner).squeeze(1) + b2
        if labels is not None and chosen is not None:
            logits = logits + chosen[:, labels.flatten()]
        return logits.reshape(-1, *pixels.shape[1:])


def _prompt(inward: int, hidden: int, outward: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(inward), nn.Linear(inward, hidden), nn.GELU(), nn.Linear(hidden, outward))


def _extent(logits: Tensor) -> Tensor:
    """The box `[6]`, from 0 to 1, of the largest piece of a mask; of its likeliest voxel where it is empty."""
    mask = logits > 0
    kept = (
        torch.from_numpy(largest_piece(mask.cpu().numpy())).to(logits.device) if mask.any() else logits == logits.max()
    )
    faces = [
        torch.stack([axis.min(), axis.max() + 1]) / n for axis, n in zip(kept.nonzero().T, kept.shape, strict=True)
    ]
    return torch.stack(faces).T.flatten().to(logits.dtype)


def mask_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Loss per mask `[Q]`: cross entropy balanced towards small things, and Dice where there is something.

    An empty target (the thing is absent) has the cross entropy alone. The weight of a foreground voxel grows with the
    root of background over foreground, so that a nodule of ten voxels counts beside a lung of twenty thousand.
    """
    logits, targets = logits.flatten(1).float(), targets.flatten(1).float()
    positive = targets.sum(dim=1)
    weight = ((targets.shape[1] - positive) / positive.clamp_min(1)).clamp_min(1).sqrt()
    # log(1 + e^x) - xt, weighed by 1 + t(w - 1), written as sums so that few passes are made over the voxels
    entropy = F.softplus(logits)
    weighed = entropy.sum(dim=1) + (weight - 1) * torch.linalg.vecdot(entropy, targets)
    weighed = (weighed - weight * torch.linalg.vecdot(logits, targets)) / (targets.shape[1] + (weight - 1) * positive)
    chance = logits.sigmoid()
    dice = 1 - (2 * torch.linalg.vecdot(chance, targets) + 1) / (chance.sum(dim=1) + positive + 1)
    return weighed + dice * (positive > 0)


def box_losses(logits: Tensor, boxes: Tensor) -> Tensor:
    """Loss per box `[Q]` of mask logits `[Q, z, y, x]`: one minus the overlap (Dice) of the mask's shadow and the box's on each axis.

    The shadow of a mask on an axis is its highest chance in each slice (Tian et al. 2021, BoxInst); boxes `[Q, 6]` from 0 to 1.
    """
    chance, terms = logits.float().sigmoid(), []
    for axis in range(3):
        others = [a + 1 for a in range(3) if a != axis]
        shadow = chance.amax(dim=others)
        n = shadow.shape[1]
        edge = torch.arange(n, device=logits.device) / n
        low, high = boxes[:, axis, None], boxes[:, axis + 3, None]
        truth = (torch.minimum(high, edge + 1 / n) - torch.maximum(low, edge)).clamp_min(0) * n
        terms.append(1 - (2 * (shadow * truth).sum(1) + 1e-3) / (shadow.square().sum(1) + truth.square().sum(1) + 1e-3))
    return torch.stack(terms).mean(dim=0)
