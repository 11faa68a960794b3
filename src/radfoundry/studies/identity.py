"""What makes an image itself: its canonical pixels and its grid."""

from __future__ import annotations

from radfoundry.ids import make_id
from radfoundry.studies.read import ReadImage

__all__ = ["image_id_of"]


def image_id_of(read: ReadImage) -> str:
    """Return the id of a read image: same samples at the same places, same id, from whatever file."""
    grid = read.grid
    return make_id("image", read.pixels, grid.spacing, grid.origin, grid.direction)
