"""The patient's sides. Picture sides never leave the file that draws a picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from radfoundry.geometry.box import Box
from radfoundry.geometry.grid import Grid

__all__ = ["SIDES", "Side", "combine_sides", "mirror_side", "side_of_box", "side_of_point"]

Side = Literal["left", "right", "bilateral", "midline", "none"]
SIDES: tuple[Side, ...] = get_args(Side)


def mirror_side(side: Side) -> Side:
    """Return the side that a left-right mirrored patient would have."""
    swapped: dict[Side, Side] = {"left": "right", "right": "left"}
    return swapped.get(side, side)


def combine_sides(sides: Iterable[Side]) -> Side:
    """Return the side of several things together: left and right make bilateral; "none" and "midline" yield to a side."""
    found = set(sides)
    if "bilateral" in found or {"left", "right"} <= found:
        return "bilateral"
    for side in SIDES:
        if side in found and side not in ("midline", "none"):
            return side
    return "midline" if "midline" in found else "none"


def side_of_point(x_mm: float, midline_mm: float, tolerance_mm: float = 5.0) -> Side:
    """Return the patient's side of a point: LPS x grows to the left."""
    if abs(x_mm - midline_mm) <= tolerance_mm:
        return "midline"
    return "left" if x_mm > midline_mm else "right"


def side_of_box(box: Box, grid: Grid, midline_mm: float) -> Side:
    """Return left or right where the whole box lies beyond the midline, bilateral where it crosses it."""
    ends = [float(grid.to_world(corner)[0]) for corner in (box.start, tuple(s - 1 for s in box.stop))]
    if min(ends) >= midline_mm:
        return "left"
    return "right" if max(ends) <= midline_mm else "bilateral"
