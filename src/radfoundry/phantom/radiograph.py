"""A frontal X-ray of the same patient: attenuation summed along each ray from front to back, noise of the photons that are left."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from radfoundry.geometry import Grid
from radfoundry.phantom.canvas import Canvas
from radfoundry.phantom.dice import Dice

__all__ = ["XRAY_NAMES", "project", "project_labels"]

# water at an effective 70 keV: 0.193 / cm (NIST XCOM); bone gains more than its density, from calcium
WATER_PER_MM = 0.0193
BONE_GAIN = 0.35

LUNG_SEEN_MM = 36.0

# what a radiograph's labels are called, and the volume's structures that cast them; later ones lie in front
_CASTS: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (1, "left lung", ("left lung upper lobe", "left lung lower lobe")),
    (2, "right lung", ("right lung upper lobe", "right lung middle lobe", "right lung lower lobe")),
    (3, "aorta", ("aorta",)),
    (4, "trachea and bronchi", ("trachea and bronchi",)),
    (5, "heart", ("heart",)),
    (6, "left clavicle", ("left clavicle",)),
    (7, "right clavicle", ("right clavicle",)),
)
XRAY_NAMES = {value: name for value, name, _ in _CASTS}


def project(canvas: Canvas, dice: Dice) -> tuple[npt.NDArray[np.uint8], Grid]:
    """Return the radiograph, uint8 [y, x], head on top, dense is bright, and its grid in mm with square pixels."""
    hu = np.clip(canvas.hu, -1000, 2000)
    # whole numbers, so that the sum is the same in any order
    weight = (1000 + hu + np.float32(BONE_GAIN) * np.maximum(hu - 150, 0)).astype(np.int32)
    thickness = weight.sum(axis=1, dtype=np.int64).astype(np.float64) * (canvas.grid.spacing[1] / 1000)
    film = _to_square(thickness[::-1], canvas.grid)
    line = film * WATER_PER_MM
    # the logarithm of n photons has the deviation 1 / sqrt(n), and n falls as exp(-line)
    deviation = _exp_half(line) * dice.between(0.002, 0.007)
    line = line + dice.noise(line.shape).astype(np.float64) * deviation
    low, high = dice.between(1.0, 1.6), dice.between(5.2, 6.2)
    grey = np.clip((line - low) / (high - low), 0, 1)
    picture: npt.NDArray[np.uint8] = np.rint(grey * 255).astype(np.uint8)
    spacing = canvas.grid.spacing[2]
    return picture, Grid.picture(picture.shape, (spacing, spacing))


def project_labels(canvas: Canvas, organs: Mapping[str, int], shown: Collection[int]) -> npt.NDArray[np.uint8]:
    """Return the radiograph's label map: what casts a shadow where; the `shown` lesions keep their value and lie in front."""
    flat = np.zeros((canvas.organs.shape[0], canvas.organs.shape[2]), dtype=np.uint8)
    for value, name, parts in _CASTS:
        casts = np.zeros(256, dtype=bool)
        casts[[organs[part] for part in parts]] = True
        cast = casts[canvas.organs]
        # the thin tips of a lung behind the liver are not seen as lung
        seen = cast.sum(axis=1) * canvas.grid.spacing[1] >= LUNG_SEEN_MM if "lung" in name else cast.any(axis=1)
        flat[seen] = value
    for value in shown:
        flat[(canvas.lesions == value).any(axis=1)] = value
    rows = np.floor(_rows(canvas.grid) + 0.5).astype(np.int64).clip(0, len(flat) - 1)
    return np.ascontiguousarray(flat[::-1][rows])


def _rows(grid: Grid) -> npt.NDArray[np.float64]:
    """Return for each row of a picture with square pixels the row of the volume, head first."""
    scale = grid.spacing[2] / grid.spacing[0]
    count = int(grid.shape[0] / scale + 0.5)
    rows: npt.NDArray[np.float64] = (np.arange(count, dtype=np.float64) + 0.5) * scale - 0.5
    return rows


def _to_square(film: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    index = np.clip(_rows(grid), 0, len(film) - 1)
    low = np.minimum(np.floor(index).astype(np.int64), len(film) - 2)
    share = (index - low)[:, None]
    square: npt.NDArray[np.float64] = film[low] * (1 - share) + film[low + 1] * share
    return square


def _exp_half(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return exp(line / 2) by ten squarings: the same bits on every machine, which a library's exp is not."""
    value = 1 + line / 2048
    for _ in range(10):
        value = value * value
    return value
