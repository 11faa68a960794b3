"""What a model sees of an image: which grid, which intensities. The one place that says so, for training and for asking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radfoundry.geometry import Box, Grid, View
from radfoundry.model.config import Size3, VLMConfig
from radfoundry.model.families.registry import FAMILIES
from radfoundry.model.vision import places

__all__ = ["Look", "can_look", "look_at"]

# HU -> network input: most of the range where tissues differ, some where lung and bone do
_CT_FROM = (-1024.0, -600.0, -150.0, 250.0, 1500.0)
_CT_TO = (-1.0, -0.6, -0.4, 0.6, 1.0)


@dataclass(frozen=True)
class Look:
    """A model's view of one image: the map between the grids, and the input `[channel, z, y, x]`; a picture has z = 1."""

    view: View
    pixels: Tensor
    intensities: int = 1
    """The first channels; what follows says where each voxel lies, if the model wants that."""

    @property
    def shape(self) -> Size3:
        """The view as a volume `(z, y, x)`."""
        _, z, y, x = self.pixels.shape
        return (z, y, x)

    def mask(self, mask: npt.NDArray) -> npt.NDArray[np.bool_]:
        """Bring a mask from the canonical grid to the view, `[z, y, x]`: half covered counts."""
        if self.view.source == self.view.target:
            return mask.astype(bool).reshape(self.shape)
        seen = self.view.pixels(mask.astype(np.float32)) >= 0.5
        if mask.any() and not seen.any():  # smaller than a sample of the view: keep the fullest one
            covered = self.view.pixels(mask.astype(np.float32))
            seen = covered == covered.max()
        return seen.reshape(self.shape)

    def box(self, box: Box) -> tuple[float, ...] | None:
        """Bring a box from the canonical grid to the view, flat and 3D; None where nothing of it is in view."""
        seen = self.view.box(box)
        if seen is None:
            return None
        return seen.flat if len(seen.start) == 3 else (0, *seen.start, 1, *seen.stop)

    def mask_back(self, probabilities: npt.NDArray[np.float32], threshold: float = 0.5) -> npt.NDArray[np.bool_]:
        """Bring mask probabilities `[z, y, x]` on the view back to the canonical grid."""
        return self.view.inverse.pixels(probabilities.reshape(self.view.target.shape)) >= threshold

    def box_back(self, flat: npt.NDArray[np.float32]) -> Box | None:
        """Bring a flat 3D box on the view back to the canonical grid; None for an empty one."""
        n = self.view.target.ndim
        low, high = np.rint(flat[:3])[3 - n :], np.rint(flat[3:])[3 - n :]
        if np.any(high <= low):
            return None
        return self.view.inverse.box(Box(tuple(int(v) for v in low), tuple(int(v) for v in high)))


def look_at(pixels: npt.NDArray, grid: Grid, modality: str, config: VLMConfig) -> Look:
    """Return the model's look at an image: the whole of it, in the model's size, intensities about -1 to 1.

    CT goes through a fixed curve over HU; everything else from its 1st to its 99th percentile. A published model sees what it
    was trained on.
    """
    if config.family in FAMILIES:
        return _look_as_published(pixels, grid, modality, config)
    size = config.vision.size
    view = View.fit(grid, size if grid.ndim == 3 else size[1:])
    if modality == "CT" and grid.ndim == 3:
        scaled = np.interp(view.pixels(pixels, fill=-1024.0), _CT_FROM, _CT_TO)
    else:
        low, high = np.percentile(pixels[(slice(None, None, 2),) * pixels.ndim], (1, 99))
        span = max(float(high - low), 1e-6)
        scaled = np.clip((view.pixels(pixels, fill=float(low)) - low) / span * 2 - 1, -1, 1)
    volume = scaled.astype(np.float32).reshape((1, *((1,) * (3 - grid.ndim)), *view.target.shape))
    channels = torch.from_numpy(np.repeat(volume, config.vision.channels, axis=0))
    if config.vision.places:
        channels = torch.cat([channels, _places(view.target)])
    return Look(view, channels, config.vision.channels)


def can_look(dimensions: int, config: VLMConfig) -> bool:
    """Whether a model can look at images of two or three dimensions; one of ours at both."""
    return config.family not in FAMILIES or dimensions in FAMILIES[config.family].dimensions


def _look_as_published(pixels: npt.NDArray, grid: Grid, modality: str, config: VLMConfig) -> Look:
    """The family's own view, and where it lies: the part of the image that it shows, stretched over its samples."""
    family = FAMILIES[config.family]
    seen = family.look(pixels, modality, config)
    part = np.array(family.part(pixels, modality, config), dtype=np.float64)
    shape = tuple(seen.shape[-grid.ndim :])
    scale = (part[:, 1] - part[:, 0]) / shape
    origin = grid.to_world(part[:, 0] + scale / 2 - 0.5)
    spacing = tuple(float(v) for v in np.asarray(grid.spacing) * scale)
    target = replace(grid, shape=shape, spacing=spacing, origin=tuple(float(v) for v in origin))
    return Look(View(grid, target), seen, seen.shape[0])


def _places(grid: Grid) -> Tensor:
    """Where each voxel lies from the view's centre, in units of 100 mm: `[3, z, y, x]`; a picture without a scale is 350 mm wide."""
    scale = 1.0 if grid.unit == "mm" else 350.0 / (grid.spacing[-1] * grid.shape[-1])
    flat = 3 - grid.ndim
    shape, steps = (1,) * flat + grid.shape, (0.0,) * flat + tuple(step * scale / 100 for step in grid.spacing)
    return places(cast(Size3, shape), cast(tuple[float, float, float], steps))
