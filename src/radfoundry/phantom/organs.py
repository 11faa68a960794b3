"""Paint what lies inside the trunk: the upper belly, the lungs, and what lies between them.

The numbers are millimetres, set by eye against atlases so that neighbours touch and nothing is torn apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radfoundry.phantom.canvas import Canvas, Field, Patch, ellipsoid_depth
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.patient import SIGNS, BodySide, Patient
from radfoundry.phantom.tissues import ORGANS, Painter, Tissues
from radfoundry.phantom.trunk import paint_spine, paint_trunk

__all__ = ["paint_anatomy"]

# beyond the highest slice
ABOVE = 330.0


def paint_anatomy(canvas: Canvas, patient: Patient, tissues: Tissues, dice: Dice) -> None:
    """Paint a healthy patient from the outside in; what is painted later lies in front."""
    p = Painter(canvas, patient, tissues)
    paint_trunk(p)
    _belly(p)
    _lungs(p)
    _lung_vessels(p, dice)
    paint_spine(p)
    _heart_and_veins(p)
    _gullet(p)
    _pulmonary_arteries(p)
    _aorta(p)
    _airway(p)
    _thyroid(p)


def _belly(p: Painter) -> None:
    c, who = p.canvas, p.patient
    at = c.points
    belly = c.cover(np.minimum(who.cage_depth(at) - 4, who.dome_height(at) + 1 - at.z))

    def paint(patch: Patch, name: str, hu: float | None = None) -> None:
        p.paint(Patch(patch.where, np.minimum(patch.cover, belly[patch.where])), name, hu=hu)

    _liver_and_spleen(p, paint)
    _bowel(p, paint)
    for side, sign in SIGNS.items():
        top = who.kidney_top(side)
        paint(c.ellipsoid((sign * 50, 42, top - 46), (25, 24, 46)), f"{side} kidney")
        paint(c.ellipsoid((sign * 36, 36, top + 8), (8, 12, 12)), f"{side} adrenal gland")
    paint(c.ellipsoid((-34, -48, who.recess - 16), (14, 17, 20)), "gallbladder")
    head, body, tail = (-22.0, -18.0, who.recess - 14), (8.0, -12.0, who.recess - 4), (46.0, 14.0, who.recess)
    paint(c.tube((head, body, tail), (13, 10, 9)), "pancreas")


def _liver_and_spleen(p: Painter, paint: Callable[..., None]) -> None:
    c, who = p.canvas, p.patient
    size, spleen, left_top = who.liver_size, who.spleen_size, who.dome_left - 5
    right_lobe = (-0.5 * who.cage_x, 2.0, who.dome_right - 5 - 66 * size)
    paint(c.ellipsoid(right_lobe, (0.52 * who.cage_x * size, 76, 70)), "liver")
    paint(c.ellipsoid((0.02 * who.cage_x, -30, left_top - 42), (60 * size, 34, 32)), "liver")
    paint(c.ellipsoid((0.74 * who.cage_x, 34, left_top - 44), (23 * spleen, 36 * spleen, 38 * spleen)), "spleen")


def _bowel(p: Painter, paint: Callable[..., None]) -> None:
    """The colon and the stomach, with their gas on top."""
    c, who = p.canvas, p.patient
    low = who.recess
    colon = c.tube(((-60, -66, low - 34), (0, -62, low - 30), (70, -52, low - 10)), (16, 15, 18))
    paint(colon, "colon")
    paint(Patch(colon.where, np.clip(colon.cover * 2 - 1.2, 0, 1)), "colon", hu=-985.0)
    x, y, z = 0.5 * who.cage_x, -22.0, who.dome_left - 45
    paint(c.ellipsoid((x, y, z), (38, 36, 36)), "stomach")
    paint(c.ellipsoid((x, y - 16, z + 4), (26, 14, 24)), "stomach", hu=-985.0)


def _lungs(p: Painter) -> None:
    c, who = p.canvas, p.patient
    at = c.points
    front = who.oblique_fissure(at)
    above = at.z - np.float32(who.minor_fissure)
    heart = ellipsoid_depth(at, who.heart_centre, who.heart_radii, who.heart_turn)
    # blood sinks: the back of a lung is denser
    sunk = at.y * np.float32(0.35)
    lobes_of: dict[BodySide, dict[str, Field]] = {
        "left": {"upper": front, "lower": -front},
        "right": {"upper": np.minimum(front, above), "middle": np.minimum(front, -above), "lower": -front},
    }
    for side, lobes in lobes_of.items():
        lung = c.cover(np.minimum(who.lung_depth(at, side), -heart))
        upper = p.tissues.hu[f"{side} lung upper lobe"]
        lower = p.tissues.hu[f"{side} lung lower lobe"]
        hu = upper + (lower - upper) * c.cover(-front) + sunk
        c.hu += lung * (hu - c.hu)
        for lobe, depth in lobes.items():
            c.organs[(lung >= 0.5) & (depth >= 0)] = ORGANS[f"{side} lung {lobe} lobe"]


def _lung_vessels(p: Painter, dice: Dice) -> None:
    """Vessels branch from the hilum; they are part of the lung, so they take no label."""
    c, who = p.canvas, p.patient
    hu = p.tissues.hu["pulmonary artery"]
    for sign in (1, -1):
        hilum = (sign * 36.0, 4.0, who.arch - 34)
        for _ in range(8):
            tip = (
                sign * dice.between(0.45, 0.86) * who.cage_x,
                dice.between(-0.62, 0.62) * who.cage_y,
                hilum[2] + dice.between(-0.55, 0.42) * (who.apex - who.recess),
            )
            x, y, z = (0.45 * a + 0.55 * b + dice.between(-8, 8) for a, b in zip(hilum, tip, strict=True))
            middle = (x, y, z)
            for twig in (c.tube((hilum, middle), (4.2, 2.6)), c.tube((middle, tip), (2.6, 1.0))):
                organs = c.organs[twig.where]
                c.paint(Patch(twig.where, twig.cover * ((organs >= 1) & (organs <= 5))), hu)


def _heart_and_veins(p: Painter) -> None:
    c, who, m = p.canvas, p.patient, p.patient.mediastinum
    p.paint(c.ellipsoid(who.heart_centre, who.heart_radii, who.heart_turn), "heart")
    p.paint(c.tube(((m - 24, -12, who.arch + 26), (m - 24, -12, who.heart_base)), (8.5, 9)), "superior vena cava")
    low = ((m - 20, 6.0, who.heart_base - 40), (m - 22, 16.0, who.recess), (-20.0, 22.0, -20.0))
    p.paint(c.tube(low, (11, 11, 11)), "inferior vena cava")


def _gullet(p: Painter) -> None:
    who, m, y = p.patient, p.patient.mediastinum, p.patient.before_spine
    low = who.dome_left
    path = ((6.0, y, ABOVE), (m + 4, y, who.arch), (m + 6, y - 4, low), (m + 24, -4.0, low - 26))
    p.paint(p.canvas.tube(path, (7, 7.5, 7.5, 8)), "esophagus")


def _pulmonary_arteries(p: Painter) -> None:
    c, who, m = p.canvas, p.patient, p.patient.mediastinum
    fork = (m + 16, -10.0, who.arch - 22)
    left, right = (m + 44, 8.0, who.arch - 24), (m - 44, 4.0, who.arch - 36)
    p.paint(c.tube(((m + 22, -32.0, who.heart_base), fork), (13, 13)), "pulmonary artery")
    p.paint(c.tube((fork, left), (11.5, 8)), "pulmonary artery")
    p.paint(c.tube((fork, (m - 20, -2.0, who.arch - 32), right), (11, 10.5, 8)), "pulmonary artery")


def _aorta(p: Painter) -> None:
    who, m, y, arch = p.patient, p.patient.mediastinum, p.patient.before_spine, p.patient.arch
    r = who.aorta_radius
    root, ascending = (m + 2, -20.0, who.heart_base - 8), (m - 8, -24.0, arch - 4)
    over = ((m + 2, -12.0, arch + 8), (m + 16, 10.0, arch + 8))
    descending = ((m + 20, y - 6, arch - 8), (m + 20, y + 4, who.dome_left), (8.0, y - 4, -20.0))
    radii = (r + 3, r + 3, r + 2, r + 1, r, r - 1, r - 2.5)
    p.paint(p.canvas.tube((root, ascending, *over, *descending), radii), "aorta")


def _airway(p: Painter) -> None:
    c, m, arch = p.canvas, p.patient.mediastinum, p.patient.arch
    carina = (m - 2, 10.0, arch - 14)
    p.paint(c.tube(((0.0, -4.0, ABOVE), carina), (9, 9.5)), "trachea and bronchi")
    p.paint(c.tube((carina, (m + 36, 18.0, arch - 42)), (7.5, 6)), "trachea and bronchi")
    p.paint(c.tube((carina, (m - 34, 16.0, arch - 36)), (8, 6.5)), "trachea and bronchi")


def _thyroid(p: Painter) -> None:
    for sign in (1, -1):
        p.paint(p.canvas.ellipsoid((sign * 15, -14, p.patient.apex + 14), (9, 9, 16)), "thyroid gland")
