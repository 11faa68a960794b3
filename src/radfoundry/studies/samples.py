"""Samples out of packed streams into memory that was taken once, after the header was checked."""

from __future__ import annotations

import re
import zlib
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from isal import igzip, isal_zlib

from radfoundry.errors import UnreadableError
from radfoundry.geometry import Grid, Orientation

__all__ = ["UNPACK_ERRORS", "canvas", "fill", "one_line", "raw_bytes", "skip", "unpacked"]

_ISAL_ERROR: Any = isal_zlib.error
UNPACK_ERRORS: tuple[type[Exception], ...] = (_ISAL_ERROR, zlib.error, EOFError, igzip.BadGzipFile, OSError)

_SLAB_BYTES = 8 << 20


def raw_bytes(array: npt.NDArray) -> memoryview:
    """Return the memory of a contiguous array as bytes."""
    buffer: Any = array.view(np.uint8) if array.dtype.names else array
    return memoryview(buffer).cast("B")


def unpacked(stream: BinaryIO) -> BinaryIO:
    """Return the content of a gzip stream as a stream."""
    reader: Any = igzip.GzipFile
    opened: BinaryIO = reader(fileobj=stream, mode="rb")
    return opened


def skip(stream: BinaryIO, count: int, name: str) -> None:
    """Read past `count` bytes of a stream that cannot seek."""
    while count > 0:
        got = len(_read(stream, min(count, 1 << 20), name))
        if got == 0:
            raise UnreadableError(f"{name} is cut short", "before its samples begin", "copy it again", code="truncated")
        count -= got


def canvas(grid: Grid, dtype: np.dtype) -> npt.NDArray:
    """Return an empty array in the stored order of `grid` whose memory is in canonical order, so that turning it copies nothing."""
    orientation = Orientation.of(grid)
    return orientation.invert(np.empty(orientation.apply_grid(grid).shape, dtype))


def fill(stream: BinaryIO, array: npt.NDArray, name: str) -> None:
    """Fill an array with the samples of a stream; UnreadableError where it ends early or does not unpack."""
    if array.flags.c_contiguous:
        _fill(stream, raw_bytes(array), name, 0, array.nbytes)
        return
    rows = max(1, _SLAB_BYTES // max(1, array[0].nbytes))
    slab = np.empty((min(rows, len(array)), *array.shape[1:]), array.dtype)
    for start in range(0, len(array), rows):
        part = slab[: len(array) - start]
        _fill(stream, raw_bytes(part), name, start * array[0].nbytes, array.nbytes)
        array[start : start + rows] = part


def _fill(stream: BinaryIO, view: memoryview, name: str, before: int, whole: int) -> None:
    done = 0
    while done < len(view):
        try:
            got = stream.readinto(view[done : done + _SLAB_BYTES])  # type: ignore[attr-defined]
        except UNPACK_ERRORS as error:
            raise UnreadableError(
                f"{name} cannot be unpacked", one_line(error), "copy it again", code="bad-gzip"
            ) from error
        if not got:
            raise UnreadableError(
                f"{name} is cut short",
                f"{before + done:,} of {whole:,} bytes of samples are there",
                "copy it again",
                code="truncated",
            )
        done += got


def _read(stream: BinaryIO, count: int, name: str) -> bytes:
    try:
        return stream.read(count)
    except UNPACK_ERRORS as error:
        raise UnreadableError(
            f"{name} cannot be unpacked", one_line(error), "copy it again", code="bad-gzip"
        ) from error


def one_line(error: Exception) -> str:
    """Return what an exception says, in one line."""
    return re.sub(r"\s+", " ", str(error)).strip()[:300] or type(error).__name__
