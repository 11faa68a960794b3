"""From an `images` row back to its pixels: the same source read the same way."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy.typing as npt

from radfoundry.errors import CorpusError, RowError
from radfoundry.ids import make_id
from radfoundry.records import Image
from radfoundry.studies.discover import discover
from radfoundry.studies.read import ReadImage, read_image
from radfoundry.studies.sources import ImageSource

__all__ = ["image_id_of", "read_again"]


def image_id_of(read: ReadImage) -> str:
    """Return the id of an image: its canonical pixels and its grid."""
    grid = read.grid
    return make_id("image", read.pixels, grid.spacing, grid.origin, grid.direction)


def read_again(path: Path, row: Image) -> npt.NDArray:
    """Return the canonical pixels of a row from its source at `path`.

    A folder or archive of several series is searched for the image with the row's id. Raises CorpusError where none has it: the
    source has changed, moved, or is gone.
    """
    found = _images_at(path) if path.exists() else ()
    for source in found:
        try:
            read = read_image(replace(source, modality=row.modality, view=row.view))
        except RowError:
            continue
        if image_id_of(read) == row.image_id:
            return read.pixels
    raise CorpusError(
        f"image {row.image_id} is not at {path}",
        "the source is gone" if not found else "the source has changed since the corpus was built",
        "put it back, open the corpus with root=, or build again",
    )


@lru_cache(maxsize=64)
def _images_at(path: Path) -> tuple[ImageSource, ...]:
    return tuple(image for study in discover(path).studies for image in study.images)
