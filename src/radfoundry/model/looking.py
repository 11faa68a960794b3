"""What a model sees of an image: which grid, which intensities. The one place that says so, for training and for asking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radfoundry.geometry import Box, Grid, View
from radfoundry.model.config import Size3, VLMConfig

__all__ = ["Look", "look_at"]

# HU -> network input: most of the range where tissues differ, some where lung and bone do
_CT_FROM = (-1024.0, -600.0, -150.0, 250.0, 1500.0)
_CT_TO = (-1.0, -0.6, -0.4, 0.6, 1.0)


@dataclass(frozen=True)
class Look:
    """A model's view of one image: the map between the grids, and the input `[channel, z, y, x]`; a picture has z = 1."""

    view: View
    pixels: Tensor

    @property
    def shape(self) -> Size3:
        """The view as a volume `(z, y, x)`."""
        _, z, y, x = self.pixels.shape
        return (z, y, x)

    def mask(self, mask: npt.NDArray) -> npt.NDArray[np.bool_]:
        """Bring a mask from the canonical grid to the view, `[z, y, x]`: half covered counts."""
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

    CT goes through a fixed curve over HU; everything else from its 1st to its 99th percentile.
    """
    size = config.vision.size
    view = View.fit(grid, size if grid.ndim == 3 else size[1:])
    if modality == "CT" and grid.ndim == 3:
        scaled = np.interp(view.pixels(pixels, fill=-1024.0), _CT_FROM, _CT_TO)
    else:
        low, high = np.percentile(pixels[(slice(None, None, 2),) * pixels.ndim], (1, 99))
        span = max(float(high - low), 1e-6)
        scaled = np.clip((view.pixels(pixels, fill=float(low)) - low) / span * 2 - 1, -1, 1)
    volume = scaled.astype(np.float32).reshape((1, *((1,) * (3 - grid.ndim)), *view.target.shape))
    channels = np.repeat(volume, config.vision.channels, axis=0)
    return Look(view, torch.from_numpy(np.ascontiguousarray(channels)))
