"""What the scanner makes of a patient: noise, streaks, a moving heart, the table, the circle outside which nothing was measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from radfoundry.phantom.canvas import Canvas, Field
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.patient import Patient

__all__ = ["scan"]


def scan(canvas: Canvas, who: Patient, dice: Dice) -> tuple[npt.NDArray[np.int16], float]:
    """Return the volume as scanned, int16 HU, and the standard deviation of its noise; the canvas stays as it is."""
    hu = canvas.hu.copy()
    if dice.chance(0.7):
        _put_on_table(hu, canvas, who)
    noise_hu = dice.between(5, 32)
    if dice.chance(0.25):
        _blur_moving_slices(hu, canvas, dice)
    grain = _soften(dice.noise(hu.shape)) * np.float32(noise_hu)
    # more tissue in the way, fewer photons: the shoulders are the noisiest, and striped from side to side
    dense = (hu > -300).mean(axis=(1, 2), dtype=np.float64)
    grain *= (np.float32(0.55) + dense.astype(np.float32))[:, None, None]
    hu += grain
    if dice.chance(0.2):
        stripes = dice.noise(hu.shape[:2]) * np.float32(dice.between(15, 45))
        shoulders = np.clip((canvas.points.z - 235) * np.float32(1 / 40), 0, 1)
        hu += stripes[:, :, None] * shoulders
    if dice.chance(0.5):
        _outside_circle(hu)
    volume: npt.NDArray[np.int16] = np.rint(np.clip(hu, -1024, 3071)).astype(np.int16)
    return volume, noise_hu


def _put_on_table(hu: Field, canvas: Canvas, who: Patient) -> None:
    """The curved table under the patient: a dense skin around foam."""
    x, y, _ = canvas.points
    top = np.float32(who.body_y + who.fat + 7) - np.square(x) * np.float32(1 / 1800)
    inside = canvas.cover(np.minimum(y - top, top + 22 - y)[0])
    foam = canvas.cover(np.minimum(y - top - 5, top + 17 - y)[0])
    table = np.float32(-250) * inside + np.float32(-950) * (1 - inside) - np.float32(600) * foam
    free = (hu < -900) & (inside > 0.1)
    hu[free] = np.broadcast_to(table, hu.shape)[free]


def _soften(white: Field) -> Field:
    """Return noise whose neighbours are alike in the plane, as after reconstruction with a soft kernel; same deviation."""
    soft = white.copy()
    soft[:, 1:] += white[:, :-1] * np.float32(0.6)
    again = soft.copy()
    again[:, :, 1:] += soft[:, :, :-1] * np.float32(0.6)
    again *= np.float32(1 / 1.36)
    return again


def _blur_moving_slices(hu: Field, canvas: Canvas, dice: Dice) -> None:
    """The patient breathed: a few slices are seen twice, a little apart."""
    start = dice.whole(hu.shape[0] // 5, hu.shape[0] // 2)
    slices = slice(start, start + max(2, hu.shape[0] // 16))
    step = max(1, int(7 / canvas.grid.spacing[1] + 0.5))
    moved = hu[slices].copy()
    moved[:, step:] = hu[slices][:, :-step]
    hu[slices] = (hu[slices] + moved) * np.float32(0.5)


def _outside_circle(hu: Field) -> None:
    """Samples outside the scan circle hold the padding value."""
    ny, nx = hu.shape[1:]
    y = (np.arange(ny, dtype=np.float32) - (ny - 1) / 2)[:, None] / np.float32(ny / 2)
    x = (np.arange(nx, dtype=np.float32) - (nx - 1) / 2)[None] / np.float32(nx / 2)
    hu[:, x * x + y * y > 1] = -1024
