"""A patient's build: the numbers, in millimetres, from which every organ's place and size follow.

x grows to the left, y to the back, z to the head; x = 0 is the midline, y = 0 the middle of the chest, z = 0 the lowest slice's edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radfoundry.phantom.canvas import Field, Points
from radfoundry.phantom.dice import Dice

__all__ = ["HEIGHT_MM", "SIGNS", "WIDTH_MM", "BodySide", "Patient", "draw_patient"]

HEIGHT_MM = 288.0
WIDTH_MM = 352.0

BodySide = Literal["left", "right"]
# the sign of x on each side
SIGNS: dict[BodySide, int] = {"left": 1, "right": -1}


@dataclass(frozen=True)
class Patient:
    """Who it is and how it is built; see `draw_patient` for the ranges."""

    sex: str
    age: int
    cage_x: float
    """Half-width of the chest's inside."""
    cage_y: float
    """Half-depth of the chest's inside."""
    wall: float
    fat: float
    apex: float
    """Height of the lungs' tops."""
    dome_right: float
    dome_left: float
    recess: float
    """Height of the lowest lung tips."""
    mediastinum: float
    """How far the mediastinum has shifted to the left."""
    heart_ratio: float
    """The heart's width over the chest's inner width (cardiothoracic ratio)."""
    heart_tilt: float
    arch: float
    """Height of the aortic arch's lower edge."""
    aorta_radius: float
    fissure_slope: float
    fissure_height: float
    minor_fissure: float
    rib_pitch: float
    rib_phase: float
    liver_size: float
    spleen_size: float
    kidney_height: float
    off_centre: tuple[float, float, float]
    """Where the patient's origin lies in the scanner (x, y, z)."""

    @property
    def body_x(self) -> float:
        """Half-width of the body without its fat."""
        return self.cage_x + self.wall

    @property
    def body_y(self) -> float:
        """Half-depth of the body without its fat."""
        return self.cage_y + self.wall

    @property
    def heart_radii(self) -> tuple[float, float, float]:
        """Half-axes of the heart."""
        half = self.heart_ratio * self.cage_x
        return (half, 0.55 * half + 14.0, 0.5 * half + 20.0)

    @property
    def heart_centre(self) -> tuple[float, float, float]:
        """Middle of the heart: left of the midline, on the diaphragm."""
        rx, ry, rz = self.heart_radii
        return (self.mediastinum + 0.3 * rx, -0.9 * self.cage_y + ry + 14.0, self.dome_left - 22.0 + rz)

    @property
    def heart_turn(self) -> tuple[tuple[float, float, float], ...]:
        """Directions of the heart's half-axes: the long one points left, down and a little to the front."""
        t = self.heart_tilt
        n = 1.0 / math.sqrt(1.0 + t * t)
        return ((n, 0.0, -t * n), (0.0, 1.0, 0.0), (t * n, 0.0, n))

    @property
    def heart_base(self) -> float:
        """Height at which the great vessels leave the heart."""
        return self.heart_centre[2] + 0.7 * self.heart_radii[2]

    @property
    def before_spine(self) -> float:
        """Depth (y) of what runs down in front of the spine."""
        return 0.70 * self.cage_y - 26

    def kidney_top(self, side: BodySide) -> float:
        """Height of a kidney's upper pole; the right one lies lower."""
        return self.kidney_height + (44 if side == "left" else 34)

    def cage_depth(self, at: Points) -> Field:
        """Millimetres inside the chest's inner wall: an elliptic cylinder that closes over the lungs' tops."""
        wide = np.float32(self.recess + 40.0)
        rise = np.clip((at.z - wide) * np.float32(1 / (self.apex - wide)), 0, 1)
        # a steep shoulder: the fourth power keeps the upper chest wide
        shrink = np.sqrt(np.maximum(1 - np.square(np.square(rise)), np.float32(1e-4)))
        x = at.x * (1 / (np.float32(self.cage_x) * shrink))
        y = (at.y - 6 * rise) * (1 / (np.float32(self.cage_y) * shrink))
        side = (1 - np.sqrt(x * x + y * y)) * (np.float32(self.cage_y) * shrink)
        depth: Field = np.minimum(side, np.float32(self.apex) - at.z)
        return depth

    def dome_height(self, at: Points) -> Field:
        """Height of the diaphragm above each point."""
        heights = []
        for sign, top in ((1, self.dome_left), (-1, self.dome_right)):
            u = at.x * np.float32(sign) - np.float32(0.56 * self.cage_x)
            u = u * np.where(u > 0, np.float32(1 / (0.47 * self.cage_x)), np.float32(1 / (0.85 * self.cage_x)))
            v = (at.y + 16) * np.float32(1 / (1.14 * self.cage_y))
            bulge = np.maximum(1 - u * u - v * v, 0)
            heights.append(np.float32(self.recess) + np.float32(top - self.recess) * np.sqrt(bulge))
        height: Field = np.where(at.x > 0, *heights)
        return height

    def lung_depth(self, at: Points, side: BodySide) -> Field:
        """Millimetres inside a lung, the heart and mediastinum left out."""
        sign = np.float32(SIGNS[side])
        narrow = np.clip((at.y + np.float32(0.8 * self.cage_y)) * np.float32(1 / 40), 0, 1)
        middle = 7 + np.float32(19) * narrow
        medial = (at.x - np.float32(self.mediastinum)) * sign - middle
        depth: Field = np.minimum(np.minimum(self.cage_depth(at), medial), at.z - self.dome_height(at))
        return depth

    def oblique_fissure(self, at: Points) -> Field:
        """Millimetres above (in front of) the oblique fissure, measured along z; the lower lobe is where it is negative."""
        height: Field = at.z - (np.float32(self.fissure_height) + np.float32(self.fissure_slope) * at.y)
        return height


def draw_patient(dice: Dice) -> Patient:
    """Return one of the patients of the world: build, age, organ sizes and positions vary independently."""
    sex = dice.pick(("F", "M"))
    big = 1.0 if sex == "M" else 0.94
    cage_x = big * dice.between(106, 134)
    cage_y = big * dice.between(77, 97)
    recess = dice.between(28, 50)
    dome_right = recess + dice.between(44, 74)
    apex = dice.between(248, 274)
    wall, fat = dice.between(17, 23), dice.between(5, min(26.0, 166 - cage_x - 23))
    # as far to the side as the scan circle allows
    room = min(16.0, 0.5 * WIDTH_MM - 3 - cage_x - wall - fat)
    arch = apex - dice.between(58, 72)
    return Patient(
        sex=sex,
        age=dice.whole(19, 91),
        cage_x=cage_x,
        cage_y=cage_y,
        wall=wall,
        fat=fat,
        apex=apex,
        dome_right=dome_right,
        dome_left=dome_right - dice.between(3, 16),
        recess=recess,
        mediastinum=dice.middling(-6, 6) if dice.chance(0.94) else dice.pick((-1, 1)) * dice.between(10, 16),
        heart_ratio=dice.middling(0.38, 0.475),
        heart_tilt=dice.between(0.1, 0.4),
        arch=arch,
        aorta_radius=dice.middling(11.5, 15.5),
        fissure_slope=dice.between(0.7, 1.0),
        fissure_height=0.5 * (apex + recess) + dice.between(-16, 0),
        minor_fissure=0.5 * (apex + recess) + dice.between(-2, 14),
        rib_pitch=dice.between(22, 26),
        rib_phase=dice.unit(),
        liver_size=dice.between(0.9, 1.12),
        spleen_size=dice.between(0.85, 1.2),
        kidney_height=dice.between(0, 26),
        off_centre=(dice.between(-room, room), dice.between(-14, 14), dice.between(-18, 8)),
    )
