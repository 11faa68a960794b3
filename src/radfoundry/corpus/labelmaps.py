"""Label maps as NIfTI bytes: written without a clock or a library's version in them, so that the same map gives the same bytes."""

from __future__ import annotations

import gzip
import struct
import zlib

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UnreadableError
from radfoundry.geometry import Grid

__all__ = ["decode_labelmap", "encode_labelmap", "labelmap_name"]

_CODES: dict[np.dtype[np.integer], int] = {
    np.dtype("u1"): 2,
    np.dtype("<i2"): 4,
    np.dtype("<u2"): 512,
    np.dtype("<i4"): 8,
}
_TYPES: dict[int, np.dtype[np.integer]] = {code: dtype for dtype, code in _CODES.items()}
_HEADER_BYTES, _DATA_START = 348, 352


def labelmap_name(image_id: str, label_set: str) -> str:
    """Return where a label map lies below the corpus folder: labelmaps/<aa>/<image_id>.<set>.nii.gz."""
    shard = image_id.rpartition("_")[2][:2]
    return f"labelmaps/{shard}/{image_id}.{label_set}.nii.gz"


def encode_labelmap(labels: npt.NDArray[np.integer], grid: Grid) -> bytes:
    """Return a gzipped NIfTI-1 file of integer labels `[z, y, x]` or `[y, x]` on a canonical grid (LPS; the file says RAS)."""
    wide = int(labels.max(initial=0))
    dtype = np.dtype("u1") if wide < 256 else np.dtype("<u2")
    if wide > 65535 or labels.min(initial=0) < 0:
        raise ValueError("labels lie between 0 and 65535")
    body = _header(grid, dtype) + np.ascontiguousarray(labels, dtype=dtype).tobytes()
    # level 1: label maps are nearly all runs, higher levels save little and cost much
    return gzip.compress(body, compresslevel=1, mtime=0)


def decode_labelmap(data: bytes) -> npt.NDArray[np.integer]:
    """Return the labels of a file written by `encode_labelmap`, axes as they went in."""
    try:
        body = gzip.decompress(data)
        dims = struct.unpack_from("<8h", body, 40)
        dtype = _TYPES[struct.unpack_from("<h", body, 70)[0]]
        shape = tuple(reversed(dims[1 : dims[0] + 1]))
        return np.frombuffer(body, dtype, count=int(np.prod(shape)), offset=_DATA_START).reshape(shape)
    except (EOFError, OSError, zlib.error, struct.error, KeyError, ValueError) as error:
        raise UnreadableError("a label map cannot be read", str(error), "build its wave again") from error


def _header(grid: Grid, dtype: np.dtype) -> bytes:
    n = len(grid.shape)
    header = bytearray(_DATA_START)
    struct.pack_into("<i", header, 0, _HEADER_BYTES)
    struct.pack_into("<8h", header, 40, n, *reversed(grid.shape), *[1] * (7 - n))
    struct.pack_into("<hh", header, 70, _CODES[dtype], dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1.0, *reversed(grid.spacing), *[1.0] * (7 - n))
    struct.pack_into("<fff", header, 108, float(_DATA_START), 1.0, 0.0)
    header[123] = 2 if grid.unit == "mm" else 0  # xyzt_units: millimetre or unknown
    struct.pack_into("<h", header, 68, 1002)  # intent: label
    struct.pack_into("<hh", header, 252, 0, 2)  # no qform; sform: aligned with the patient
    struct.pack_into("<12f", header, 280, *_ras_affine(grid)[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header)


def _ras_affine(grid: Grid) -> npt.NDArray[np.float64]:
    """Index (x, y, z, 1) to RAS millimetres; a picture lies in the plane z = 0."""
    n = len(grid.shape)
    affine = np.eye(4)
    affine[:n, :n] = np.asarray(grid.direction).reshape(n, n) * np.asarray(grid.spacing[::-1])
    affine[:n, 3] = grid.origin
    affine[:2] *= -1  # LPS and RAS differ in the sign of the first two axes
    return affine
