"""What the decoder marked in an image, as things: connected pieces of one name each, described by place, size, brightness and company.

A thing becomes a token of the language model, so that what a sentence speaks of is something that was found somewhere. A region that
is given is described in the same way, by its mask instead of a piece that was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radfoundry.grounding.classical.morphology import pieces_by_value
from radfoundry.model.config import SegmentationConfig

__all__ = ["Scene", "ThingTokens", "Things", "cells_of", "company_of", "describe", "find_things"]

_FEWEST = 2  # voxels of a thing
_COARSE = 2  # voxels across a cell of company
_MEASURES = 14
_WAVES = 6


@dataclass(frozen=True)
class Scene:
    """An image as the decoder knows it."""

    volume: Tensor
    """`[inputs, z, y, x]`; the last three channels are places."""
    fine: Tensor
    """`[channels, z, y, x]`."""
    company: Tensor
    """`[1 + names, cells]`: see `company_of`."""
    chances: Callable[[Tensor], Tensor]
    """Voxels of the fine map `[N, channels]` -> how much of each name they are `[N, 1 + names]`, nothing first."""


@dataclass(frozen=True)
class Things:
    """What was found in one image; slots beyond the things that there are hold zeros."""

    labels: Tensor
    """`[z, y, x]`, thing i as i + 1."""
    names: Tensor
    """`[slots, 1 + names]`: how much of each name it is; the first column is no name."""
    company: Tensor
    """`[slots, 1 + names]`: what lies in it and around it."""
    measures: Tensor
    """`[slots, 14]`: see `describe`."""
    look: Tensor
    """`[slots, channels]`: the decoder's voxel map, averaged."""


def find_things(marked: Tensor, scene: Scene, slots: int) -> Things:
    """Return the pieces of what is marked `[z, y, x]`, 0 for nothing: the largest of every name first, then others by size."""
    numbered = torch.from_numpy(pieces_by_value(marked.cpu().numpy()).astype("int64")).to(marked.device)
    sizes = torch.bincount(numbered.flatten(), minlength=1)
    name_of = torch.zeros_like(sizes).scatter_(0, numbered.flatten(), marked.flatten())
    order = _largest_of_each_first(name_of.tolist(), sizes.tolist())[:slots]
    order.sort(key=lambda number: (int(name_of[number]), -int(sizes[number])))
    renumber = torch.zeros_like(sizes)
    renumber[order] = torch.arange(1, len(order) + 1, device=sizes.device)
    labels = renumber[numbered]
    described = describe(labels[None], len(order), scene)
    return Things(labels, *(F.pad(part, (0, 0, 0, slots - len(order))) for part in described))


def _largest_of_each_first(names: list[int], sizes: list[int]) -> list[int]:
    by_size = sorted((n for n in range(len(sizes)) if names[n] and sizes[n] >= _FEWEST), key=lambda n: (-sizes[n], n))
    first: dict[int, int] = {}
    for number in by_size:
        first.setdefault(names[number], number)
    leading = set(first.values())
    return [n for n in by_size if n in leading] + [n for n in by_size if n not in leading]


def describe(labels: Tensor, count: int, scene: Scene) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return names, company, measures and look of `count` regions, numbered from 1 in `labels` `[layers, z, y, x]`.

    Measures: log of voxels, log of mm3 (in 100 mm cubed), mean and deviation of intensity, centre (z, y, x), deviations along the
    axes, extents along the axes, longest diameter (of the ellipsoid with the same moments); lengths in 100 mm.
    """
    layer, z, y, x = labels.nonzero(as_tuple=True)
    owner = labels[layer, z, y, x] - 1
    volume = scene.volume
    places = volume[-3:]
    at = places[:, z, y, x].T.double()
    bright = volume[0, z, y, x][:, None].double()
    number = torch.zeros(count, 1, dtype=torch.double, device=labels.device).index_add_(
        0, owner, torch.ones_like(bright)
    )
    mean = _Mean(owner, number)
    centre, brightness = mean(at), mean(bright)
    spread = (mean(at**2) - centre**2).clamp_min(0)
    far = torch.full((count, 3), -1e9, dtype=torch.double, device=labels.device)
    index = owner[:, None].expand(-1, 3)
    high = far.scatter_reduce(0, index, at, "amax")
    low = -far.scatter_reduce(0, index, -at, "amax")
    step = _step(places).double()
    extent = torch.where(number > 0, high - low + step, 0.0)
    moved = at - centre[owner]
    moments = mean((moved[:, :, None] * moved[:, None, :]).flatten(1)).reshape(count, 3, 3) + torch.diag(step**2 / 12)
    longest = 2 * (5 * torch.linalg.eigvalsh(moments)[:, -1:].clamp_min(0)).sqrt()
    measures = torch.cat(
        [
            number.clamp_min(1).log(), (number * step.prod()).clamp_min(1e-7).log(), brightness,
            (mean(bright**2) - brightness**2).clamp_min(0).sqrt(), centre, spread.sqrt(), extent, longest,
        ], dim=1,
    )  # fmt: skip
    look = scene.fine[:, z, y, x].T
    company = scene.company[:, z // _COARSE, y // _COARSE, x // _COARSE].T
    parts = (mean(scene.chances(look)), mean(company), measures, mean(look))
    return tuple(part.float() for part in parts)  # type: ignore[return-value]


def cells_of(fine: Tensor) -> Tensor:
    """Return the mean voxel of each cell of 2 x 2 x 2: `[channels, z, y, x]` -> `[channels, z / 2, y / 2, x / 2]`."""
    across = [min(_COARSE, n) for n in fine.shape[1:]]
    return F.avg_pool3d(fine[None], across, ceil_mode=True, count_include_pad=False)[0]


def company_of(chances: Tensor) -> Tensor:
    """Return what lies around each cell `[names, z, y, x]`: the mean of its neighbours, up to one cell away, and itself."""
    across = [3 if n > 1 else 1 for n in chances.shape[1:]]
    return F.avg_pool3d(chances[None], across, 1, [n // 2 for n in across], count_include_pad=False)[0]


class _Mean:
    """The mean of each region's voxels."""

    def __init__(self, owner: Tensor, number: Tensor) -> None:
        self._owner, self._number = owner, number

    def __call__(self, values: Tensor) -> Tensor:
        total = torch.zeros(len(self._number), values.shape[1], dtype=torch.double, device=values.device)
        return total.index_add(0, self._owner, values.double()) / self._number.clamp_min(1)


def _step(places: Tensor) -> Tensor:
    """The distance of neighbouring voxels along z, y, x; of a single slice as along y."""
    z, y, x = places.shape[1:]
    along_y = (places[1, 0, -1, 0] - places[1, 0, 0, 0]) / max(y - 1, 1)
    along_x = (places[2, 0, 0, -1] - places[2, 0, 0, 0]) / max(x - 1, 1)
    along_z = (places[0, -1, 0, 0] - places[0, 0, 0, 0]) / (z - 1) if z > 1 else along_y
    return torch.stack([along_z, along_y, along_x]).abs()


class ThingTokens(nn.Module):
    """One token a thing: its name, company, measures (as waves, so that a millimetre tells) and look."""

    def __init__(self, config: SegmentationConfig, width: int) -> None:
        super().__init__()
        names = 1 + len(config.names)
        inward = 2 * names + _MEASURES * (1 + 2 * _WAVES) + config.channels
        self.kind = nn.Embedding(2, width)  # found, given
        self.mix = nn.Sequential(nn.Linear(inward, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, names: Tensor, company: Tensor, measures: Tensor, look: Tensor, given: bool = False) -> Tensor:
        """`[N, width]`."""
        waves = math.pi * 2.0 ** torch.arange(-1, _WAVES - 1, device=measures.device)
        angles = (measures[:, :, None] * waves).flatten(1)
        told = torch.cat([names, company, measures, angles.sin(), angles.cos(), look], dim=1)
        return self.mix(told.to(self.kind.weight.dtype)) + self.kind.weight[int(given)]
