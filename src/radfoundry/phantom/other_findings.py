"""Draw what can be wrong with the heart and its vessels, the mediastinum, the bones and the belly."""

from __future__ import annotations

import math
from collections.abc import Sequence

from radfoundry.phantom.canvas import Point
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.lesion import CHEST, Lesion
from radfoundry.phantom.patient import SIGNS, BodySide, Patient
from radfoundry.phantom.shapes import Blob, Shell, Strand, random_turn
from radfoundry.phantom.tissues import ORGANS

__all__ = [
    "aortic_dilatation",
    "arterial_calcification",
    "cardiomegaly",
    "coronary_calcification",
    "fracture",
    "hiatal_hernia",
    "kidney_cyst",
    "liver_cyst",
    "liver_lesion",
    "lymphadenopathy",
    "pericardial_effusion",
]


def cardiomegaly(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A heart wider than half the chest."""
    return [Lesion("cardiomegaly", "heart", "none", None, None, heart_ratio=dice.between(0.535, 0.62))]


def aortic_dilatation(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """An aorta whose ascending part is wider than 45 mm."""
    radius = dice.between(20, 25)
    return [Lesion("aortic dilatation", "aorta", "none", 2 * (radius + 3), None, aorta_radius=radius)]


def pericardial_effusion(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """Fluid all around the heart."""
    thick, hu = dice.between(10, 20), dice.between(2, 20)
    tissue = "mediastinal tissue"
    return [Lesion("pericardial effusion", "heart", "none", thick, Shell(thick), hu, 4.0, CHEST, tissue)]


def coronary_calcification(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A bright line over the front of the heart."""
    cx, cy, cz = who.heart_centre
    rx, ry, rz = who.heart_radii
    path: list[Point] = []
    for i in range(3):
        u, w = dice.between(-0.1, 0.2) + 0.18 * i, 0.62 - 0.3 * i
        v = -math.sqrt(max(0.0, 1 - u * u - w * w))
        path.append((cx + 0.95 * rx * u, cy + 0.95 * ry * v, cz + 0.95 * rz * w))
    strand = Strand(tuple(path), dice.between(4.2, 5.6))
    return [
        Lesion(
            "coronary calcification", "heart", "none", None, strand, dice.between(450, 1000), 60.0, CHEST | {"heart"}
        )
    ]


def arterial_calcification(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A bright line along the outer wall of the arch."""
    m, arch, r = who.mediastinum, who.arch, who.aorta_radius
    start = dice.between(0, 14)
    path = (
        (m + 4 + start, -10 + 1.4 * start, arch + 8 + r),
        (m + 18, 12 + start, arch + 6 + 0.6 * r),
        (m + 20 + r, 26, arch - 4),
    )
    strand = Strand(path, dice.between(4.2, 5.4))
    return [
        Lesion(
            "arterial calcification", "aorta", "none", None, strand, dice.between(450, 1000), 60.0, CHEST | {"aorta"}
        )
    ]


def lymphadenopathy(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A node beside the trachea, below its fork, or in front of the arch."""
    m, arch = who.mediastinum, who.arch
    centre = dice.pick(((m - 22, -2.0, arch + 14), (m - 4.0, 24.0, arch - 44), (m + 6.0, -42.0, arch + 6)))
    size = dice.between(23, 44)
    radii = (size / 2, size / 2 * dice.between(0.75, 0.95), size / 2 * dice.between(0.75, 0.95))
    node = Blob(((centre, radii, random_turn(dice)),))
    over = CHEST | {"superior vena cava", "esophagus"}
    return [
        Lesion(
            "lymphadenopathy", "mediastinum", "none", size, node, dice.between(30, 60), 6.0, over, "mediastinal tissue"
        )
    ]


def hiatal_hernia(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """Stomach above the diaphragm, behind the heart."""
    size = dice.between(34, 76)
    centre = (who.mediastinum + 6, 0.7 * who.cage_y - 20 - 0.25 * size, who.dome_left + 0.3 * size)
    sac = Blob(((centre, (size / 2, 0.42 * size, size / 2), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))),))
    over = CHEST | {"esophagus", "heart", "liver", "stomach", "inferior vena cava"}
    return [Lesion("hiatal hernia", "esophagus", "none", size, sac, dice.between(-20, 45), 70.0, over, "stomach")]


def fracture(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A healing rib fracture: callus around the rib."""
    side: BodySide = dice.pick(("left", "right"))
    sign = SIGNS[side]
    v = dice.between(-0.45, 0.5)
    u = math.sqrt(1 - v * v)
    y = v * (who.cage_y + 6)
    level = dice.whole(5, 7) + 0.5 - who.rib_phase
    centre = (sign * u * (who.cage_x + 6), y, level * who.rib_pitch + 0.32 * y)
    size = dice.between(23, 30)
    callus = Blob(
        ((centre, (size * 0.36, size / 2, size * 0.42), ((u, sign * v, 0.0), (-sign * v, u, 0.0), (0.0, 0.0, 1.0))),)
    )
    over = frozenset(ORGANS) - {"heart"}
    return [
        Lesion("fracture", f"{side} rib", side, size, callus, dice.between(380, 700), 120.0, over | {""}, f"{side} rib")
    ]


def liver_lesion(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """A mass in the liver, often hardly darker than it."""
    return _in_liver(dice, who, "liver lesion", dice.between(31, 72), dice.between(18, 42), 8.0)


def liver_cyst(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """Water in the liver, where it has no other lesion."""
    if any(other.region == "liver" for other in taken):
        return []
    return _in_liver(dice, who, "liver cyst", dice.between(23, 60), dice.between(-2, 14), 3.0)


def kidney_cyst(dice: Dice, who: Patient, taken: Sequence[Lesion]) -> list[Lesion]:
    """Water in a kidney, from which it hardly differs without contrast agent."""
    side: BodySide = dice.pick(("left", "right"))
    size, kidney = dice.between(23, 38), f"{side} kidney"
    x, y, z = (
        SIGNS[side] * 50 + dice.between(-8, 8),
        42 + dice.between(-8, 8),
        who.kidney_top(side) - dice.between(26, 42),
    )
    water = _globe(dice, (x, y, z), size)
    return [Lesion("kidney cyst", kidney, side, size, water, dice.between(-2, 14), 3.0, frozenset({kidney}))]


def _in_liver(dice: Dice, who: Patient, concept: str, size: float, hu: float, mottle: float) -> list[Lesion]:
    x = -0.56 * who.cage_x + dice.between(-16, 16)
    y, z = 6 + dice.between(-26, 26), who.dome_right - 50 + dice.between(-18, 14)
    return [Lesion(concept, "liver", "none", size, _globe(dice, (x, y, z), size), hu, mottle, frozenset({"liver"}))]


def _globe(dice: Dice, centre: Point, size: float) -> Blob:
    return Blob(((centre, (size / 2, size / 2 * dice.between(0.85, 1), size / 2), random_turn(dice)),))
