"""NRRD, attached or detached, raw or gzip: header lines, a space, and samples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UnreadableError
from radfoundry.geometry import Grid
from radfoundry.studies.containers import open_file
from radfoundry.studies.limits import Limits
from radfoundry.studies.samples import canvas, fill, one_line, skip, unpacked

__all__ = ["read_nrrd"]

_TYPES = {
    "signed char": "i1", "int8": "i1", "int8_t": "i1", "uchar": "u1", "unsigned char": "u1", "uint8": "u1", "uint8_t": "u1",
    "short": "i2", "short int": "i2", "signed short": "i2", "int16": "i2", "int16_t": "i2",
    "ushort": "u2", "unsigned short": "u2", "uint16": "u2", "uint16_t": "u2",
    "int": "i4", "signed int": "i4", "int32": "i4", "int32_t": "i4", "uint": "u4", "unsigned int": "u4", "uint32": "u4",
    "uint32_t": "u4", "longlong": "i8", "int64": "i8", "int64_t": "i8", "ulonglong": "u8", "uint64": "u8", "uint64_t": "u8",
    "float": "f4", "double": "f8",
}  # fmt: skip
# signs that turn a space into LPS, along (x, y, z)
_SPACES = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_HEADER_BYTES = 1 << 20


def read_nrrd(path: Path, limits: Limits) -> tuple[npt.NDArray, Grid, tuple[str, ...]]:
    """Return the stored array `[z, y, x]`, its grid and notes. Raises UnreadableError, GeometryError, LimitError."""
    with open_file(path, limits) as stream:
        fields = _fields(stream, path.name)
        try:
            return _read(stream, fields, path, limits)
        except (KeyError, ValueError, OverflowError) as error:
            raise UnreadableError(
                f"{path.name} has a damaged header", one_line(error), "write it again", code="bad-header"
            ) from error


def _read(
    stream: BinaryIO, fields: dict[str, str], path: Path, limits: Limits
) -> tuple[npt.NDArray, Grid, tuple[str, ...]]:
    shape, dtype = _checked(fields, path.name, limits)
    grid, notes = _grid(fields, shape, path.name)
    array = canvas(grid, dtype)
    data = fields.get("data file", fields.get("datafile"))
    if data is None:
        _read_samples(stream, fields, array, path.name)
    else:
        with open_file(_beside(path, data), limits) as other:
            _read_samples(other, fields, array, path.name)
    return array, grid, notes


def _fields(stream: BinaryIO, name: str) -> dict[str, str]:
    if not re.match(rb"NRRD000\d", stream.readline(64)):
        raise UnreadableError(f"{name} is no NRRD file", code="not-nrrd")
    fields: dict[str, str] = {}
    used = 0
    while (line := stream.readline(_HEADER_BYTES).decode("utf-8", "replace")).strip():
        used += len(line)
        if used > _HEADER_BYTES:
            raise UnreadableError(f"{name} has an endless header", code="bad-header")
        key, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            fields[key.strip().lower()] = value.lstrip("=").strip()
    return fields


def _checked(fields: dict[str, str], name: str, limits: Limits) -> tuple[tuple[int, ...], np.dtype]:
    sizes = [int(n) for n in fields["sizes"].split()]
    dtype = np.dtype(_TYPES[fields["type"].lower()])
    if len(sizes) not in (2, 3) or min(sizes) < 1 or len(sizes) != int(fields["dimension"]):
        raise UnreadableError(
            f"{name} has {len(sizes)} axes", "a volume has three, of one channel", "split it", code="four-dimensional"
        )
    if fields.get("endian", "little") == "big":
        dtype = dtype.newbyteorder(">")
    shape = tuple(reversed(sizes))
    limits.check_array(shape, dtype.itemsize, name)
    return shape if len(shape) == 3 else (1, *shape), dtype


def _read_samples(stream: BinaryIO, fields: dict[str, str], array: npt.NDArray, name: str) -> None:
    encoding = fields.get("encoding", "raw").lower()
    for _ in range(min(int(fields.get("line skip", "0") or 0), 10_000)):
        stream.readline(_HEADER_BYTES)
    if encoding == "raw":
        skip(stream, int(fields.get("byte skip", "0") or 0), name)
        fill(stream, array, name)
    elif encoding in ("gzip", "gz"):
        with unpacked(stream) as content:
            fill(content, array, name)
    else:
        raise UnreadableError(
            f"{name} is packed as {encoding}", "raw and gzip are read", "write it again as gzip", code="encoding"
        )


def _beside(path: Path, data: str) -> Path:
    """A detached data file lies in the header's folder, whatever path the header writes."""
    if "/" in data or "\\" in data or data.startswith("LIST") or "%" in data:
        raise UnreadableError(
            f"{path.name} keeps its samples elsewhere",
            "only one file beside the header is read",
            "attach the data",
            code="detached",
        )
    return path.parent / data


def _grid(fields: dict[str, str], shape: tuple[int, ...], name: str) -> tuple[Grid, tuple[str, ...]]:
    vectors = [
        [float(v) for v in group.split(",")] for group in re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    ]
    signs = _SPACES.get(fields.get("space", "").lower())
    if len(vectors) == 3 and signs is not None and all(len(v) == 3 for v in vectors):
        origin = [float(v) for v in fields.get("space origin", "(0,0,0)").strip("() ").split(",")]
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(vectors).T
        affine[:3, 3] = origin
        return Grid.from_affine(shape, np.diag([*signs, 1.0]) @ affine), ()
    spacings = [float(s) for s in fields.get("spacings", "").split()] or [1.0] * 3
    spacing = [s if np.isfinite(s) and s > 0 else 1.0 for s in (*spacings, 1.0)[:3]]
    note = "no-affine: the header gives no position and no directions; sides are not certain"
    return Grid.axial(shape, tuple(reversed(spacing))), (note,)  # type: ignore[arg-type]
