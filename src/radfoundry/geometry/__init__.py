"""Where things are: grids, boxes, views between grids, and the patient's sides.

Arrays of volumes are `[z, y, x]` and pictures `[y, x]`, in LPS: x grows to the patient's left, y to the back, z to the head.
"""

from radfoundry.geometry.box import Box
from radfoundry.geometry.grid import Grid
from radfoundry.geometry.laterality import SIDES, Side, combine_sides, mirror_side, side_of_box, side_of_point
from radfoundry.geometry.orientation import Orientation, canonicalise
from radfoundry.geometry.view import View

__all__ = [
    "Box",
    "Grid",
    "Orientation",
    "SIDES",
    "Side",
    "View",
    "canonicalise",
    "combine_sides",
    "mirror_side",
    "side_of_box",
    "side_of_point",
]
