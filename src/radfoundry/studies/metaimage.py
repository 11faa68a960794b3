"""MetaImage (.mha, or .mhd with its data file): header lines, LPS, raw or zlib samples."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from radfoundry.errors import UnreadableError
from radfoundry.geometry import Grid
from radfoundry.studies.containers import open_file
from radfoundry.studies.limits import Limits
from radfoundry.studies.samples import canvas, fill, one_line, skip

__all__ = ["read_metaimage"]

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


def read_metaimage(path: Path, limits: Limits) -> tuple[npt.NDArray, Grid]:
    """Return the stored array `[z, y, x]` and its grid. Raises UnreadableError, GeometryError, LimitError."""
    with open_file(path, limits) as stream:
        fields = _fields(stream, path.name)
        try:
            array, grid = _checked(fields, path.name, limits)
        except (KeyError, ValueError, IndexError) as error:
            raise UnreadableError(
                f"{path.name} has a damaged header", one_line(error), "write it again", code="bad-header"
            ) from error
        data = fields["ElementDataFile"]
        if data == "LOCAL":
            _read_samples(stream, fields, array, path.name)
        else:
            with open_file(_beside(path, data), limits) as other:
                _read_samples(other, fields, array, path.name)
    return array, grid


def _fields(stream: BinaryIO, name: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for _ in range(200):
        key, equals, value = stream.readline(1 << 16).decode("utf-8", "replace").partition("=")
        if not equals:
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return fields
    raise UnreadableError(f"{name} is no MetaImage file", "no ElementDataFile ends its header", code="not-metaimage")


def _checked(fields: dict[str, str], name: str, limits: Limits) -> tuple[npt.NDArray, Grid]:
    sizes = [int(n) for n in fields["DimSize"].split()]
    dtype = np.dtype(_TYPES[fields["ElementType"]])
    if len(sizes) not in (2, 3) or min(sizes) < 1 or int(fields.get("ElementNumberOfChannels", "1")) != 1:
        raise UnreadableError(
            f"{name} has {len(sizes)} axes", "a volume has three, of one channel", "split it", code="four-dimensional"
        )
    if fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true":
        dtype = dtype.newbyteorder(">")
    shape = tuple(reversed(sizes))
    limits.check_array(shape, dtype.itemsize, name)
    n = len(sizes)
    spacing = _floats(fields, "ElementSpacing", [1.0] * n)
    matrix = np.eye(3)
    # the file lists, for each index axis in turn, its direction in the patient
    matrix[:n, :n] = np.asarray(_floats(fields, "TransformMatrix", np.eye(n).ravel().tolist())).reshape(n, n).T
    affine = np.eye(4)
    affine[:3, :3] = matrix * np.asarray([*spacing, 1.0][:3])
    affine[:n, 3] = _floats(fields, "Offset", _floats(fields, "Position", _floats(fields, "Origin", [0.0] * n)))
    grid = Grid.from_affine(shape if n == 3 else (1, *shape), affine)
    return canvas(grid, dtype), grid


def _floats(fields: dict[str, str], key: str, default: list[float]) -> list[float]:
    return [float(v) for v in fields[key].split()] if key in fields else default


def _beside(path: Path, data: str) -> Path:
    if "/" in data or "\\" in data or data.startswith("LIST") or "%" in data:
        raise UnreadableError(
            f"{path.name} keeps its samples elsewhere",
            "only one file beside the header is read",
            "write one .mha",
            code="detached",
        )
    return path.parent / data


def _read_samples(stream: BinaryIO, fields: dict[str, str], array: npt.NDArray, name: str) -> None:
    if fields.get("CompressedData", "False").lower() == "true":
        fill(_Inflated(stream), array, name)  # type: ignore[arg-type]
        return
    skip(stream, max(int(fields.get("HeaderSize", "0")), 0), name)
    fill(stream, array, name)


class _Inflated(io.RawIOBase):
    """A zlib stream that unpacks no more than it is asked for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._engine = isal_zlib.decompressobj()
        self._packed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, view: memoryview) -> int:  # type: ignore[override]
        while not self._engine.eof:
            self._packed = self._engine.unconsumed_tail or self._stream.read(1 << 20)
            data = self._engine.decompress(self._packed, len(view))
            if data or not self._packed:
                view[: len(data)] = data
                return len(data)
        return 0
