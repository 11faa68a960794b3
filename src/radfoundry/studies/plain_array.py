"""NumPy's .npy: samples alone. Never a pickle, and no place in the patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UnreadableError
from radfoundry.geometry import Grid
from radfoundry.studies.containers import open_file
from radfoundry.studies.limits import Limits
from radfoundry.studies.samples import fill, one_line

__all__ = ["read_npy"]


def read_npy(path: Path, limits: Limits) -> tuple[npt.NDArray, Grid, tuple[str, ...]]:
    """Return the array, taken as `[z, y, x]` or `[y, x]` (axes of length 1 in front are dropped), and a grid in pixels."""
    with open_file(path, limits) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
        except (ValueError, TypeError, SyntaxError, EOFError, UnicodeError, MemoryError, RecursionError) as error:
            raise UnreadableError(
                f"{path.name} is no .npy array", one_line(error), "save it again", code="not-npy"
            ) from error
        if dtype.kind not in "biuf":
            raise UnreadableError(
                f"{path.name} holds {dtype}", "only numbers are samples", "save a numeric array", code="sample-type"
            )
        kept = tuple(int(n) for n in shape)
        while len(kept) > 3 and kept[0] == 1:
            kept = kept[1:]
        if len(kept) not in (2, 3) or min(kept) < 1:
            raise UnreadableError(
                f"{path.name} has shape {shape}", "a volume has three axes", "split it", code="four-dimensional"
            )
        limits.check_array(kept, dtype.itemsize, path.name)
        array = np.empty(kept, dtype, order="F" if fortran else "C")
        fill(stream, array.T if fortran else array, path.name)
    return array, _grid(kept), ("no-affine: an .npy file gives no sizes, no position and no sides",)


def _grid(shape: tuple[int, ...]) -> Grid:
    if len(shape) == 2:
        return Grid.picture((shape[0], shape[1]))
    return replace(Grid.axial((shape[0], shape[1], shape[2]), (1.0, 1.0, 1.0)), unit="pixel")
