"""One thing that is wrong with a patient, and how it is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from radfoundry.geometry import Side
from radfoundry.phantom.canvas import Canvas, Field, Patch
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.patient import Patient
from radfoundry.phantom.shapes import Shape
from radfoundry.phantom.tissues import ORGANS

__all__ = ["CHEST", "LOBES", "Lesion", "paint_lesion", "with_lesions"]

LOBES = frozenset(name for name in ORGANS if "lobe" in name)
CHEST = LOBES | {"mediastinal tissue"}


@dataclass(frozen=True)
class Lesion:
    """One thing that is wrong.

    region: the canonical name of where it is; size_mm: its longest extent, None where size says nothing; shape: None where an
    organ's own size is the finding (`heart_ratio`, `aorta_radius`); hu: its density; mottle: standard deviation of its coarse
    texture; over: the organs that it may replace; organ: what `Canvas.organs` says there afterwards ("" leaves it).
    """

    concept: str
    region: str
    side: Side
    size_mm: float | None
    shape: Shape | None
    hu: float = 0.0
    mottle: float = 0.0
    over: frozenset[str] = LOBES
    organ: str = ""
    heart_ratio: float | None = None
    aorta_radius: float | None = None

    def grown(self, factor: float) -> Lesion:
        """Return the same lesion at another time."""
        size = None if self.size_mm is None else self.size_mm * factor
        return replace(self, size_mm=size, shape=self.shape and self.shape.grown(factor))


def with_lesions(who: Patient, lesions: Sequence[Lesion]) -> Patient:
    """Return the patient with the build that the findings give: a large heart, a wide aorta."""
    for lesion in lesions:
        who = replace(
            who,
            heart_ratio=lesion.heart_ratio or who.heart_ratio,
            aorta_radius=lesion.aorta_radius or who.aorta_radius,
        )
    return who


def paint_lesion(canvas: Canvas, who: Patient, lesion: Lesion, value: int, dice: Dice) -> float:
    """Paint a lesion over the organs that it may replace, label it, and return its mean difference to what was there, in HU."""
    if lesion.shape is None:
        return 0.0
    where, at = canvas.around(lesion.shape.bounds)
    replaceable = np.zeros(256, dtype=np.float32)
    # value 0 is muscle, fat and whatever else has no name
    replaceable[[ORGANS.get(name, 0) for name in lesion.over]] = 1
    cover = canvas.cover(lesion.shape.depth(at, who)) * replaceable[canvas.organs[where]]
    healthy = canvas.hu[where].copy()
    hu = np.float32(lesion.hu) + np.float32(lesion.mottle) * _coarse(dice, cover.shape)
    canvas.paint(Patch(where, cover), hu, organ=ORGANS.get(lesion.organ, 0), lesion=value)
    changed = np.abs(canvas.hu[where] - healthy)[cover >= 0.5]
    # whole HU, whose sum has no rounding that could differ between machines
    return int(np.rint(changed).astype(np.int64).sum()) / changed.size if changed.size else 0.0


def _coarse(dice: Dice, shape: tuple[int, ...]) -> Field:
    grain = dice.noise(tuple(n // 2 + 1 for n in shape))
    coarse: Field = grain.repeat(2, 0).repeat(2, 1).repeat(2, 2)[tuple(slice(n) for n in shape)]
    return coarse
