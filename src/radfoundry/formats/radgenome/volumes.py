"""RadGenome's volumes and masks: 1 x 1 x 3 mm, right-front-up, cropped, and saved with an affine that has forgotten all of it.

The files say 1 x 1 x 1 and an origin of zero, so nothing in them can be measured or brought back to the patient. Masks are one
binary file a name; a structure that was looked for and not found is a file of zeros.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.errors import GeometryError, MismatchError
from radfoundry.formats.radgenome.paths import WHOLE_SCAN, head_of, node_of
from radfoundry.formats.radgenome.tables import mask_folder, volume_folder
from radfoundry.geometry import Box, Grid, Orientation, View
from radfoundry.studies import Limits
from radfoundry.studies.nifti import nifti_bytes, read_nifti

__all__ = ["SPACING_MM", "Located", "identity_bytes", "preprocessing", "read_mask", "read_volume", "volume_mm3"]

SPACING_MM = (3.0, 1.0, 1.0)
"""(z, y, x) of every published volume, which its header does not say."""
_RIGHT_FRONT_UP = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


class Located(NamedTuple):
    """A mask `[z, y, x]` as the published lookup finds it: in the "anatomy" or "region" folder, or "whole" where neither has it."""

    mask: npt.NDArray[np.bool_]
    how: str

    @property
    def absent(self) -> bool:
        """A file of zeros: the structure was looked for and is not in the volume."""
        return not self.mask.any()


def read_volume(
    folder: Path, volume: str, spacing_mm: tuple[float, float, float] | None = None
) -> tuple[npt.NDArray, Grid]:
    """Return a volume in canonical orientation and its grid, whose unit is the pixel unless `spacing_mm` (z, y, x) is supplied."""
    array, grid = _read(folder / volume_folder(volume) / volume, spacing_mm)
    return np.maximum(array, -1024), grid


def read_mask(folder: Path, volume: str, path: str) -> Located:
    """Return the mask of a region path of a volume: its node's, else its head's, else every voxel.

    Rows of `others` and of the whole scan always have every voxel. Raises MismatchError where mask and volume differ in shape.
    """
    _, grid = _read(folder / volume_folder(volume) / volume, None)
    if path != WHOLE_SCAN and head_of(path) != "others":
        for kind, name in (("anatomy", node_of(path)), ("region", head_of(path))):
            file = folder / mask_folder(volume, kind) / f"{name}.nii.gz"
            if file.is_file():
                mask, of_mask = _read(file, None)
                _check_shape(file, of_mask, grid)
                return Located(mask > 0, kind)
    return Located(np.ones(grid.shape, bool), "whole")


def volume_mm3(mask: npt.NDArray[np.bool_], grid: Grid) -> float:
    """Return the size of a mask in mm3. Raises GeometryError where the grid has no millimetres."""
    if grid.unit != "mm":
        raise GeometryError(
            "nothing can be measured on a preprocessed volume as it lies",
            "its affine is the identity: the header says 1 x 1 x 1 and the truth is 3 x 1 x 1 mm",
            f"read it with spacing_mm={SPACING_MM}",
            code="identity-affine",
        )
    return float(np.count_nonzero(mask) * grid.voxel_mm3)


def preprocessing(pixels: npt.NDArray, grid: Grid) -> View:
    """Return the view that the published preprocessing makes of a canonical volume: 1 x 1 x 3 mm, cropped to what is not zero."""
    extent = [n * s for n, s in zip(grid.shape, grid.spacing, strict=True)]
    shape = tuple(max(1, round(e / s)) for e, s in zip(extent, SPACING_MM, strict=True))
    whole = View(grid, Grid(shape, SPACING_MM, grid.origin, grid.direction))
    box = Box.of_mask(whole.pixels(pixels) != 0)
    return View(grid, View.crop(whole.target, box).target) if box else whole


def identity_bytes(array: npt.NDArray) -> bytes:
    """Return the .nii.gz of a canonical array as the published files have it: turned right-front-up, identity affine."""
    return nifti_bytes(np.ascontiguousarray(array[:, ::-1, ::-1]), _identity_grid(array.shape))


def _identity_grid(shape: tuple[int, ...]) -> Grid:
    return Grid(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), _RIGHT_FRONT_UP)


def _read(file: Path, spacing_mm: tuple[float, float, float] | None) -> tuple[npt.NDArray, Grid]:
    array, header = read_nifti(file, "", Limits())
    orientation = Orientation.of(header.grid)
    grid = orientation.apply_grid(header.grid)
    if header.grid.matches(_identity_grid(header.grid.shape)):
        unit: Literal["mm", "pixel"] = "mm" if spacing_mm else "pixel"
        grid = replace(grid, spacing=spacing_mm or (1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), unit=unit)
    return orientation.apply(array), grid


def _check_shape(file: Path, of_mask: Grid, of_volume: Grid) -> None:
    if of_mask.shape != of_volume.shape:
        raise MismatchError(
            f"{file.name} and its volume differ in shape", f"{of_mask.shape} and {of_volume.shape}",
            "take both from the same release", code="mask-shape",
        )  # fmt: skip
