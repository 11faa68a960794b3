"""Images of a corpus as files that others read: volumes as NIfTI, pictures and slices as PNG in their own window."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from radfoundry.geometry import Grid
from radfoundry.records import Image
from radfoundry.studies.nifti import nifti_bytes
from radfoundry.viewing import window
from radfoundry.viewing.windows import find_window

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus

__all__ = ["ImageFiles", "png_bytes"]


class ImageFiles:
    """Writes each image once below `folder/images` and says where it lies, relative to the folder."""

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        self._folder = folder
        (folder / "images").mkdir(parents=True, exist_ok=True)
        self.open = lru_cache(maxsize=2)(corpus.image)
        self._written: set[str] = set()

    @property
    def count(self) -> int:
        """How many files were written."""
        return len(self._written)

    def whole(self, image_id: str, dimensions: int) -> str:
        """Write a volume as .nii.gz on its canonical grid, a picture as .png."""
        if dimensions == 3:
            return self._put(f"images/{image_id}.nii.gz", lambda: nifti_bytes(*_plain(*self.open(image_id))))
        return self._put(f"images/{image_id}.png", lambda: _picture(*self.open(image_id)))

    def slice(self, image_id: str, z: int) -> str:
        """Write one axial slice as .png, in the window of its whole volume."""
        return self._put(f"images/{image_id}_z{z:04d}.png", lambda: _slice(*self.open(image_id), z))

    def _put(self, name: str, data: Callable[[], bytes]) -> str:
        if name not in self._written:
            (self._folder / name).write_bytes(data())
            self._written.add(name)
        return name


def _plain(pixels: npt.NDArray, row: Image) -> tuple[npt.NDArray, Grid]:
    return np.ascontiguousarray(pixels), row.grid


def _picture(pixels: npt.NDArray, row: Image) -> bytes:
    """Eight-bit pictures stay as they are."""
    whole = np.issubdtype(pixels.dtype, np.integer) or bool(np.all(pixels == np.rint(pixels)))
    if whole and pixels.min() >= 0 and pixels.max() <= 255:
        return png_bytes(pixels.astype(np.uint8))
    return png_bytes(window(pixels, row.modality))


def _slice(pixels: npt.NDArray, row: Image, z: int) -> bytes:
    return png_bytes(find_window(pixels, row.modality).apply(pixels[z]))


def png_bytes(grey: npt.NDArray[np.uint8]) -> bytes:
    """Return grey values `[y, x]` as a PNG."""
    sink = io.BytesIO()
    Picture.fromarray(grey).save(sink, "PNG")
    return sink.getvalue()
