"""Samples on a canonical grid as one plain NIfTI-1 file: the header, then the array's own memory."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from radfoundry.geometry import Grid

__all__ = ["nifti_header", "plain_samples"]

_CODES = {"|u1": 2, "<i2": 4, "<u2": 512, "<f4": 16}
_START = 352


def plain_samples(array: npt.NDArray) -> npt.NDArray:
    """Return the array in one of the four sample types that are sent; the same memory where it is in one already."""
    if array.dtype == bool:
        array = array.view(np.uint8)
    if array.dtype.newbyteorder("<").str not in _CODES:
        kind = (
            np.uint16
            if array.dtype.kind in "iu" and array.min(initial=0) >= 0 and array.max(initial=0) < 1 << 16
            else np.float32
        )
        array = array.astype(kind)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def nifti_header(samples: npt.NDArray, grid: Grid) -> bytes:
    """Return the 352 bytes before the samples `[z, y, x]` or `[y, x]`; a picture has one slice.

    NIfTI's world is RAS, ours is LPS: the first two axes change their sign.
    """
    header = bytearray(_START)
    shape = (1,) * (3 - samples.ndim) + samples.shape
    spacing = (1.0,) * (3 - grid.ndim) + grid.spacing
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *reversed(shape), 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, _CODES[samples.dtype.str], samples.dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1.0, *reversed(spacing), 1.0, 1.0, 1.0, 1.0)
    struct.pack_into("<fff", header, 108, float(_START), 1.0, 0.0)
    header[123] = 2 if grid.unit == "mm" else 0  # xyzt_units: millimetre or unknown
    struct.pack_into("<hh", header, 252, 0, 1)  # no qform; the sform is the scanner's
    affine = np.eye(4)
    affine[: grid.ndim, : grid.ndim] = grid.affine[: grid.ndim, : grid.ndim]
    affine[: grid.ndim, 3] = grid.origin
    affine[:2] *= -1
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header)
