"""Small turns, scales, shifts and changes of intensity of what a model sees; masks and boxes go along.

Left stays left: there are no reflections at all, since reports, questions and answers name sides. Turns are about the z axis, so that
head and feet stay too. A picture and a volume are changed alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from radfoundry.model import Encoded, Pointer, RegionPart
from radfoundry.model.looking import Look
from radfoundry.model.turns import Box
from radfoundry.training.examples import StudyExample

__all__ = ["Move", "augmented", "draw_move"]

_DEGREES, _SCALE, _SHIFT = 10.0, 0.1, 0.05
_GAIN, _OFFSET, _NOISE = 0.15, 0.1, 0.03
Matrix = npt.NDArray[np.float64]
Placed = TypeVar("Placed", Pointer, RegionPart)


@dataclass(frozen=True)
class Move:
    """An affine map of a view onto itself, in units of half the view: a point p (x, y, z from -1 to 1) goes to matrix @ p + shift."""

    matrix: Matrix
    shift: npt.NDArray[np.float64]

    def pixels(self, volume: Tensor) -> Tensor:
        """Move `[channel, z, y, x]`; what comes from outside is the border's value."""
        back = np.linalg.inv(self.matrix)
        theta = torch.from_numpy(np.column_stack([back, -back @ self.shift])).float()
        places = F.affine_grid(theta[None], [1, *volume.shape], align_corners=False)
        return F.grid_sample(volume[None], places, padding_mode="border", align_corners=False)[0]

    def mask(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Move a mask `[z, y, x]`; half covered counts, and what stays in view keeps one voxel at least."""
        framed = np.pad(mask, 1).astype(np.float32)  # so that what comes from outside is empty
        ratio = np.array(mask.shape[::-1]) / np.array(framed.shape[::-1])
        within = Move(np.diag(ratio) @ self.matrix @ np.diag(1 / ratio), ratio * self.shift)
        covered = within.pixels(torch.from_numpy(framed)[None])[0].numpy()[1:-1, 1:-1, 1:-1]
        moved: npt.NDArray[np.bool_] = covered >= 0.5
        return moved if moved.any() or not covered.any() else covered == covered.max()

    def box(self, box: Box, shape: tuple[int, int, int]) -> Box:
        """Move a half-open box (z0, y0, x0, z1, y1, x1): the box of the moved ellipsoid that it held, cut at the view's faces."""
        size = np.array(shape, float)
        low, high = np.array(box[:3]), np.array(box[3:])
        centre, half = ((low + high) / size - 1)[::-1], ((high - low) / size)[::-1]
        centre = self.matrix @ centre + self.shift
        half = np.sqrt(((self.matrix * half) ** 2).sum(axis=1))
        corners = [((centre + sign * half)[::-1] + 1) / 2 * size for sign in (-1, 1)]
        a, b, c = np.clip(corners[0], 0, size)
        d, e, f = np.clip(corners[1], 0, size)
        return (float(a), float(b), float(c), float(d), float(e), float(f))


def draw_move(shape: tuple[int, int, int], strength: float, rng: np.random.Generator) -> Move:
    """Draw a turn about z, a scale and a shift for a view of `shape` (z, y, x)."""
    angle = np.deg2rad(_DEGREES * strength) * rng.uniform(-1, 1)
    scale = 1 + _SCALE * strength * rng.uniform(-1, 1)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    half = np.array(shape[::-1], float) / 2
    matrix = np.diag(1 / half) @ (scale * turn) @ np.diag(half)
    shift = 2 * _SHIFT * strength * rng.uniform(-1, 1, 3)
    if shape[0] == 1:  # a picture has one slice, which stays
        matrix[2, 2], shift[2] = 1, 0
    return Move(matrix, shift)


def augmented(example: StudyExample, strength: float, rng: np.random.Generator) -> StudyExample:
    """Return the study with each image moved and its intensities changed, and with it what points at the image."""
    moves = [draw_move(look.shape, strength, rng) for look in example.looks]
    looks = tuple(_look(look, move, strength, rng) for look, move in zip(example.looks, moves, strict=True))
    shapes = [look.shape for look in looks]
    talks = tuple(_conversation(talk, moves, shapes) for talk in example.conversations)
    return replace(example, looks=looks, conversations=talks)


def _look(look: Look, move: Move, strength: float, rng: np.random.Generator) -> Look:
    gain, offset = 1 + _GAIN * strength * rng.uniform(-1, 1), _OFFSET * strength * rng.uniform(-1, 1)
    seen, places = look.pixels[: look.intensities], look.pixels[look.intensities :]
    noise = torch.from_numpy(rng.standard_normal(seen.shape, dtype=np.float32)) * (_NOISE * strength)
    return replace(look, pixels=torch.cat([move.pixels(seen) * gain + offset + noise, places]))


def _conversation(talk: Encoded, moves: Sequence[Move], shapes: Sequence[tuple[int, int, int]]) -> Encoded:
    return replace(
        talk,
        pointers=[(at, _placed(part, moves[part.image], shapes[part.image])) for at, part in talk.pointers],
        regions=[(at, _placed(part, moves[part.image], shapes[part.image])) for at, part in talk.regions],
    )


def _placed(part: Placed, move: Move, shape: tuple[int, int, int]) -> Placed:
    mask = None if part.mask is None else move.mask(np.asarray(part.mask, bool))
    box = None if part.box_zyx is None else move.box(part.box_zyx, shape)
    return replace(part, mask=mask, box_zyx=box)
