"""Paint the trunk: skin and fat, muscle, the cavity inside, and the bones around it.

The numbers are millimetres, set by eye against atlases so that neighbours touch and nothing is torn apart.
"""

from __future__ import annotations

import numpy as np

from radfoundry.phantom.canvas import Field, Points, ellipsoid_depth
from radfoundry.phantom.patient import SIGNS, Patient
from radfoundry.phantom.tissues import ORGANS, Painter

__all__ = ["paint_spine", "paint_trunk"]

FAT_HU, MUSCLE_HU = -102.0, 48.0
# discs against the bone above and below
DISC_HU = -95


def paint_trunk(p: Painter) -> None:
    """Paint the body wall and its ribs, shoulder blades and collar bones around a cavity full of fat."""
    _body_wall(p)
    _ribs(p)
    _shoulder_girdle(p)


def _body_wall(p: Painter) -> None:
    c, who = p.canvas, p.patient
    at = c.points
    outline = _body_depth(who, at)
    c.paint(c.patch(outline + np.float32(who.fat)), FAT_HU)
    if who.sex == "F":
        for side, sign in SIGNS.items():
            centre = (sign * 0.5 * who.cage_x, 6 - who.body_y, 0.55 * who.apex)
            p.paint(c.ellipsoid(centre, (44, 24 + who.fat, 46)), f"{side} breast")
            c.organs[c.patch(outline).cover >= 0.5] = 0
    c.paint(c.patch(outline), MUSCLE_HU)
    inside = np.minimum(who.cage_depth(at), at.z + 50)
    c.paint(c.patch(inside), p.tissues.hu["mediastinal tissue"])
    c.organs[(inside >= 0) & (at.z > who.dome_height(at)) & (np.abs(at.x) < 60)] = ORGANS["mediastinal tissue"]


def _body_depth(who: Patient, at: Points) -> Field:
    x = at.x * np.float32(1 / who.body_x)
    y = at.y * np.float32(1 / who.body_y)
    # between an ellipse and a rectangle, as trunks are
    radius = np.sqrt(np.sqrt(np.square(x * x) + np.square(y * y) + x * x * y * y * np.float32(1.4)))
    depth: Field = (1 - radius) * np.float32(who.body_y) + 0 * at.z
    return depth


def _ribs(p: Painter) -> None:
    c, who = p.canvas, p.patient
    at = c.points
    ring = 5 - np.abs(who.cage_depth(at) + 6)
    level = rib_level(who, at)
    bar = 6.5 - np.abs(level - np.floor(level) - np.float32(0.5)) * np.float32(who.rib_pitch)
    lateral = np.abs(at.x) - np.float32(0.33 * who.cage_x) - np.clip(-at.y, 0, 1000) * np.float32(0.1)
    back = np.maximum(lateral, at.y - np.float32(0.55 * who.cage_y))
    depth = np.minimum(np.minimum(ring, bar), np.minimum(back, np.float32(who.apex + 4) - at.z))
    for side, sign in SIGNS.items():
        p.paint(c.patch(np.minimum(depth, at.x * np.float32(sign) - 8)), f"{side} rib")


def rib_level(who: Patient, at: Points) -> Field:
    """Return the rib counted from below at each height; ribs fall towards the front."""
    fall = np.float32(0.32)
    level: Field = (at.z - at.y * fall) * np.float32(1 / who.rib_pitch) + np.float32(who.rib_phase)
    return level


def _shoulder_girdle(p: Painter) -> None:
    c, who = p.canvas, p.patient
    for side, sign in SIGNS.items():
        inner = (sign * 20.0, -0.62 * who.cage_y, who.apex - 14)
        middle = (sign * 0.6 * who.cage_x, -0.78 * who.cage_y, who.apex - 2)
        outer = (sign * 1.02 * who.cage_x, -0.1 * who.cage_y, who.apex + 10)
        p.paint(c.tube((inner, middle, outer), (6.5, 5.5, 6.5)), f"{side} clavicle")
        turn = ((0.8 * sign, -0.6, 0.0), (0.6 * sign, 0.8, 0.0), (0.0, 0.0, 1.0))
        centre = (sign * (0.72 * who.cage_x + 9), 0.7 * who.cage_y + 13, who.apex - 58)
        p.paint(c.ellipsoid(centre, (40, 5.5, 58), turn), f"{side} scapula")


def paint_spine(p: Painter) -> None:
    """Paint vertebrae, discs, the spinal canal and the sternum."""
    c, who = p.canvas, p.patient
    at = c.points
    y = 0.70 * who.cage_y
    body = _oval(at, y, 18, 15)
    process = np.minimum(np.minimum(6 - np.abs(at.x), at.y - np.float32(y + 20)), np.float32(y + 44) - at.y)
    bone = np.maximum(np.maximum(body, _oval(at, y + 20, 24, 11)), process)
    step = at.z * np.float32(1 / who.rib_pitch) + np.float32(who.rib_phase)
    disc = 3.5 - np.abs(step - np.floor(step) - np.float32(0.5)) * np.float32(who.rib_pitch)
    hu = p.tissues.hu["thoracic vertebrae"] + c.cover(disc) * np.float32(DISC_HU) + 0 * bone
    p.paint(c.patch(bone + 0 * at.z), "thoracic vertebrae", hu=hu)
    p.paint(c.patch(_oval(at, y + 21, 9, 8) + 0 * at.z), "spinal canal")
    plate = np.minimum(19 - np.abs(at.x), 6 - np.abs(at.y + np.float32(who.cage_y + 6)))
    plate = np.minimum(plate, np.minimum(at.z - np.float32(who.dome_left + 8), np.float32(who.apex - 12) - at.z))
    p.paint(c.patch(plate), "sternum")


def _oval(at: Points, y: float, half_x: float, half_y: float) -> Field:
    """Return millimetres inside an upright elliptic cylinder in the midline."""
    level = Points(at.x, at.y, np.zeros((1, 1, 1), dtype=np.float32))
    return ellipsoid_depth(level, (0, y, 0), (half_x, half_y, 1000))
