"""Draw what can be wrong in the lungs and the pleura."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from radfoundry.phantom.canvas import Point, Points, ellipsoid_depth
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.lesion import LOBES, Lesion
from radfoundry.phantom.patient import SIGNS, BodySide, Patient
from radfoundry.phantom.shapes import Blob, Layer, random_turn

__all__ = ["nodule", "mass", "consolidation", "ground_glass", "atelectasis", "emphysema", "effusion", "pneumothorax"]


_SIDES: tuple[tuple[BodySide, ...], ...] = (("left",), ("right",), ("left", "right"), ("left", "right"))


def _spot(dice: Dice, who: Patient, side: BodySide, room: float, taken: Sequence[Lesion]) -> Point | None:
    """Return a place in a lung that has `room` mm around it and lies in no other lesion, not even in what it may have been."""
    n = 60
    sign = SIGNS[side]
    x = np.array([sign * dice.between(30, who.cage_x) for _ in range(n)], dtype=np.float32)
    y = np.array([dice.between(-who.cage_y, who.cage_y) for _ in range(n)], dtype=np.float32)
    z = np.array([dice.between(who.recess, who.apex) for _ in range(n)], dtype=np.float32)
    at = Points(x, y, z)
    heart = ellipsoid_depth(at, who.heart_centre, who.heart_radii, who.heart_turn)
    free = np.minimum(who.lung_depth(at, side), -heart - 4)
    hilum = np.sqrt(np.square(x - sign * 40) + np.square(y - 4) + np.square(z - np.float32(who.arch - 32))) - 26
    free = np.minimum(free, hilum)
    for lesion in taken:
        if lesion.shape is not None:
            free = np.minimum(free, -lesion.shape.grown(1.3).depth(at, who))
    hits = np.flatnonzero(free >= room)
    if hits.size == 0:
        return None
    i = int(hits[0])
    return float(x[i]), float(y[i]), float(z[i])


def _lobe(who: Patient, centre: Point) -> str:
    """Return the canonical name of the lobe that holds a point."""
    x, y, z = (np.array([v], dtype=np.float32) for v in centre)
    at = Points(x, y, z)
    side = "left" if centre[0] > 0 else "right"
    if who.oblique_fissure(at)[0] < 0:
        return f"{side} lung lower lobe"
    if side == "right" and centre[2] < who.minor_fissure:
        return "right lung middle lobe"
    return f"{side} lung upper lobe"


def _side(dice: Dice) -> BodySide:
    return dice.pick(("left", "right"))


def nodule(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """One or two nodules: solid, or so faint that they hardly rise over the noise."""
    found: list[Lesion] = []
    for _ in range(dice.pick((1, 1, 1, 2))):
        hu = dice.pick((40.0, 30.0, 20.0, -450.0, -650.0, -740.0))
        found += _ball(dice, who, [*taken, *found], "lung nodule", dice.between(22, 30), hu)
    return found


def mass(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A mass: like a nodule, but over 30 mm and solid."""
    return _ball(dice, who, taken, "lung mass", dice.between(32, 76), dice.between(15, 55))


def _ball(dice: Dice, who: Patient, taken: Sequence[Lesion], concept: str, size: float, hu: float) -> list[Lesion]:
    side = _side(dice)
    centre = _spot(dice, who, side, 0.42 * size, taken)
    if centre is None:
        return []
    radii = (size / 2, size / 2 * dice.between(0.8, 1), size / 2 * dice.between(0.8, 1))
    return [Lesion(concept, _lobe(who, centre), side, size, Blob(((centre, radii, random_turn(dice)),)), hu, 12.0)]


def _cloud(
    dice: Dice, who: Patient, taken: Sequence[Lesion], concept: str, hu: float, mottle: float, reach: float
) -> list[Lesion]:
    side = _side(dice)
    centre = _spot(dice, who, side, 0.5 * reach, taken)
    if centre is None:
        return []
    parts = []
    for _ in range(dice.whole(3, 6)):
        x, y, z = (c + dice.between(-0.55, 0.55) * reach for c in centre)
        a, b, c = (reach * dice.between(0.4, 0.75) for _ in range(3))
        parts.append(((x, y, z), (a, b, c), random_turn(dice)))
    lobe = _lobe(who, centre)
    return [Lesion(concept, lobe, side, None, Blob(tuple(parts)), hu, mottle, frozenset({lobe}))]


def consolidation(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """Alveoli full of fluid, with air left in some bronchi, within one lobe."""
    return _cloud(dice, who, taken, "consolidation", dice.between(0, 45), 90.0, dice.between(20, 38))


def ground_glass(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A haze through which the vessels would be seen, within one lobe."""
    hu = dice.between(-740, -480)
    return _cloud(dice, who, taken, "ground glass opacity", hu, 40.0, dice.between(20, 40))


def atelectasis(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A plate of collapsed lung."""
    side = _side(dice)
    centre = _spot(dice, who, side, 12, taken)
    if centre is None:
        return []
    size = dice.between(50, 84)
    tilt = dice.between(-0.25, 0.25)
    n = 1 / math.sqrt(1 + tilt * tilt)
    turn = ((n, 0.0, tilt * n), (0.0, 1.0, 0.0), (-tilt * n, 0.0, n))
    plate = Blob(((centre, (size / 2, size * dice.between(0.25, 0.4), dice.between(6, 9)), turn),))
    lobe = _lobe(who, centre)
    return [Lesion("atelectasis", lobe, side, None, plate, dice.between(-120, 30), 20.0, frozenset({lobe}))]


def emphysema(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """Holes in one or both upper lobes."""
    found = []
    for side in dice.pick(_SIDES):
        sign = SIGNS[side]
        parts = []
        for _ in range(dice.whole(6, 11)):
            centre = (
                sign * dice.between(0.3, 0.85) * who.cage_x,
                dice.between(-0.7, 0.5) * who.cage_y,
                who.minor_fissure + dice.between(0.05, 0.95) * (who.apex - who.minor_fissure),
            )
            r = dice.between(11, 19)
            parts.append((centre, (r, r * dice.between(0.7, 1), r * dice.between(0.7, 1)), random_turn(dice)))
        lobe = f"{side} lung upper lobe"
        hu = dice.between(-985, -955)
        found.append(Lesion("emphysema", lobe, side, None, Blob(tuple(parts)), hu, 5.0, frozenset({lobe})))
    return found


def effusion(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """Fluid behind one or both lungs."""
    found = []
    for side in dice.pick(_SIDES[:3]):
        depth, hu = dice.between(22, 76), dice.between(-2, 22)
        found.append(
            Lesion("pleural effusion", "pleura", side, depth, Layer(side, "back", depth), hu, 4.0, LOBES, "pleura")
        )
    return found


def pneumothorax(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """Air in front of a lung."""
    side, size = _side(dice), dice.between(24, 60)
    return [Lesion("pneumothorax", "pleura", side, size, Layer(side, "front", size), -1000.0, 0.0, LOBES, "pleura")]
