"""Pixels of an image row, read anew from its source: corpora keep no copies of scans."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy.typing as npt

from radfoundry.errors import MismatchError, RowError, UnreadableError
from radfoundry.records import Image

__all__ = ["read_pixels"]


def read_pixels(path: Path, row: Image) -> npt.NDArray:
    """Return the canonical pixels of the image at `path` that has the row's id; of several images there, each is tried.

    Raises UnreadableError where nothing is there, MismatchError where nothing there is that image any more.
    """
    from radfoundry.studies import read_image
    from radfoundry.studies.identity import image_id_of

    for source in _candidates(path):
        try:
            read = read_image(replace(source, modality=row.modality, view=row.view))
        except RowError:
            continue
        if image_id_of(read) == row.image_id:
            return read.pixels
    raise MismatchError(
        f"{path} no longer holds the image {row.image_id}",
        "no image there has its pixels and grid",
        "bring the file back, or build the corpus again",
        code="source-changed",
    )


@lru_cache(maxsize=256)
def _candidates(path: Path) -> tuple:
    from radfoundry.studies import discover

    if not path.exists():
        raise UnreadableError(
            f"there is no {path}", "the source has moved", "open the corpus with root=FOLDER", code="source-missing"
        )
    return tuple(image for study in discover(path).studies for image in study.images)
