"""The shapes of lesions: each tells how deep a place lies in it, where it can be, and what it would be if it had grown."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from radfoundry.phantom.canvas import Field, Point, Points, capsule_depth, deepest, ellipsoid_depth
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.patient import BodySide, Patient

__all__ = ["Blob", "Layer", "Shape", "Shell", "Strand", "random_turn"]

Bounds = tuple[tuple[float, float], ...]
EVERYWHERE: Bounds = ((-1e4, 1e4),) * 3


class Shape(Protocol):
    """A lesion's form in a given patient."""

    def depth(self, at: Points, who: Patient) -> Field:
        """Return millimetres inside the shape, negative outside."""
        ...

    @property
    def bounds(self) -> Bounds:
        """The lowest and highest x, y and z that it can reach."""
        ...

    def grown(self, factor: float) -> Shape:
        """Return the same shape, larger or smaller."""
        ...


@dataclass(frozen=True)
class Blob:
    """One or more ellipsoids that have grown together: (centre, radii, directions of the radii)."""

    parts: tuple[tuple[Point, Point, tuple[Point, Point, Point]], ...]

    def depth(self, at: Points, who: Patient) -> Field:
        """The deepest of the parts."""
        return deepest([ellipsoid_depth(at, *part) for part in self.parts])

    @property
    def bounds(self) -> Bounds:
        """Around all parts."""
        return tuple(
            (min(c[i] - max(r) for c, r, _ in self.parts), max(c[i] + max(r) for c, r, _ in self.parts))
            for i in range(3)
        )

    def grown(self, factor: float) -> Blob:
        """Every part grown about its own centre."""
        return Blob(tuple((c, (r[0] * factor, r[1] * factor, r[2] * factor), t) for c, r, t in self.parts))


@dataclass(frozen=True)
class Strand:
    """A tube along a path."""

    path: tuple[Point, ...]
    radius: float

    def depth(self, at: Points, who: Patient) -> Field:
        """Inside the tube."""
        pairs = zip(self.path, self.path[1:], strict=False)
        return deepest([capsule_depth(at, a, b, self.radius, self.radius) for a, b in pairs])

    @property
    def bounds(self) -> Bounds:
        """Around the whole path."""
        return tuple(
            (min(p[i] for p in self.path) - self.radius, max(p[i] for p in self.path) + self.radius) for i in range(3)
        )

    def grown(self, factor: float) -> Strand:
        """A thicker tube."""
        return replace(self, radius=self.radius * factor)


@dataclass(frozen=True)
class Layer:
    """Fluid that sank to the back of a patient who lies, or air that rose to the front: `thick` mm where it is deepest."""

    side: BodySide
    pole: Literal["back", "front"]
    thick: float

    def depth(self, at: Points, who: Patient) -> Field:
        """Inside the pleural space and beyond the level."""
        sign = np.float32(1 if self.pole == "back" else -1)
        # the level rises towards the recess, where the space is widest
        level = np.float32(who.cage_y - self.thick) + (at.z - np.float32(who.recess + 50)) * np.float32(0.22)
        return np.minimum(who.lung_depth(at, self.side), at.y * sign - level)

    @property
    def bounds(self) -> Bounds:
        """One half of the chest."""
        return ((0.0, 1e4) if self.side == "left" else (-1e4, 0.0), (-1e4, 1e4), (-1e4, 1e4))

    def grown(self, factor: float) -> Layer:
        """A thicker layer."""
        return replace(self, thick=self.thick * factor)


@dataclass(frozen=True)
class Shell:
    """Fluid around the heart."""

    thick: float

    def depth(self, at: Points, who: Patient) -> Field:
        """Outside the heart and within `thick` of it."""
        x, y, z = who.heart_radii
        outer = ellipsoid_depth(at, who.heart_centre, (x + self.thick, y + self.thick, z + self.thick), who.heart_turn)
        return np.minimum(outer, -ellipsoid_depth(at, who.heart_centre, who.heart_radii, who.heart_turn))

    @property
    def bounds(self) -> Bounds:
        """Anywhere: it is the patient that knows where the heart is."""
        return EVERYWHERE

    def grown(self, factor: float) -> Shell:
        """A thicker shell."""
        return replace(self, thick=self.thick * factor)


def random_turn(dice: Dice) -> tuple[Point, Point, Point]:
    """Return three unit vectors at right angles, in no preferred direction."""
    a = _direction(dice)
    b = _direction(dice)
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    b = _unit((b[0] - dot * a[0], b[1] - dot * a[1], b[2] - dot * a[2]))
    c = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return a, b, c


def _direction(dice: Dice) -> Point:
    while True:
        v = (dice.between(-1, 1), dice.between(-1, 1), dice.between(-1, 1))
        if 0.05 < sum(p * p for p in v) <= 1:
            return _unit(v)


def _unit(v: Point) -> Point:
    length = math.sqrt(sum(p * p for p in v))
    return (v[0] / length, v[1] / length, v[2] / length)
