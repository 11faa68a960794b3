"""NIfTI both ways. Headers through nibabel; gzip through isal; the affine turned from RAS to LPS."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
from isal import igzip
from nibabel.spatialimages import HeaderDataError

from radfoundry.errors import GeometryError, UnreadableError
from radfoundry.geometry import Grid
from radfoundry.studies.containers import open_file
from radfoundry.studies.limits import Limits
from radfoundry.studies.samples import UNPACK_ERRORS, canvas, fill, one_line, skip, unpacked

__all__ = ["NiftiHeader", "nifti_bytes", "read_nifti", "read_nifti_header"]

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_HEADER_BYTES = {b"\x5c\x01\x00\x00": 348, b"\x00\x00\x01\x5c": 348, b"\x1c\x02\x00\x00": 540, b"\x00\x00\x02\x1c": 540}
_KINDS: dict[int, Any] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_COLOURS = (("R", "G", "B"), ("R", "G", "B", "A"))
_LUMINANCE = {"R": 0.299, "G": 0.587, "B": 0.114}
_MM = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}


@dataclass(frozen=True)
class NiftiHeader:
    """Where the samples lie. grid: of the stored array, its axes named z, y, x from slowest to fastest; volumes: along a 4th axis."""

    grid: Grid
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    volumes: int
    notes: tuple[str, ...]

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume as stored."""
        return math.prod(self.grid.shape) * self.dtype.itemsize


def read_nifti_header(path: Path, limits: Limits) -> NiftiHeader:
    """Return the header of a .nii or .nii.gz without its samples."""
    with _open(path, limits) as stream:
        return _header(stream, path.name, limits)


def read_nifti(path: Path, member: str, limits: Limits) -> tuple[npt.NDArray, NiftiHeader]:
    """Return the stored array `[z, y, x]` (slowest axis first, no rescale) and the header.

    `member` is the index of a volume of a 4D file. Memory is taken once, after the header has been checked. Raises UnreadableError
    for a damaged or cut file, GeometryError for an affine that is none, LimitError.
    """
    with _open(path, limits) as stream:
        header = _header(stream, path.name, limits)
        volume = _member(member, header, path.name)
        limits.check_array(header.grid.shape, header.dtype.itemsize, path.name)
        array = canvas(header.grid, header.dtype)
        skip(stream, header.offset - stream.tell() + volume * header.volume_bytes, path.name)
        fill(stream, array, path.name)
    if array.dtype.names:
        array = np.rint(sum(weight * array[channel] for channel, weight in _LUMINANCE.items())).astype(np.int16)
    return array, header


def _member(member: str, header: NiftiHeader, name: str) -> int:
    if member:
        return int(member)
    if header.volumes > 1:
        raise GeometryError(
            f"{name} holds {header.volumes} volumes",
            "a 4D file is several images",
            "name one of them",
            code="four-dimensional",
        )
    return 0


@contextmanager
def _open(path: Path, limits: Limits) -> Iterator[BinaryIO]:
    with open_file(path, limits) as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        if not zipped:
            yield stream
            return
        with unpacked(stream) as content:
            yield content


def _header(stream: BinaryIO, name: str, limits: Limits) -> NiftiHeader:
    try:
        raw = stream.read(4)
        size = _HEADER_BYTES.get(raw)
        if size is None:
            raise UnreadableError(f"{name} is no NIfTI file", "it does not begin with a NIfTI header", code="not-nifti")
        raw += stream.read(size - 4)
        if len(raw) < size:
            raise UnreadableError(f"{name} is cut short", "inside its header", "copy it again", code="truncated")
        return _parsed(_KINDS[size].from_fileobj(io.BytesIO(raw), check=False), name, limits)
    except UNPACK_ERRORS as error:
        raise UnreadableError(
            f"{name} cannot be unpacked", one_line(error), "copy it again", code="bad-gzip"
        ) from error
    except (HeaderDataError, ValueError, KeyError, TypeError, OverflowError, ZeroDivisionError, struct.error) as error:
        raise UnreadableError(
            f"{name} has a damaged header", one_line(error), "write it again", code="bad-header"
        ) from error


def _parsed(header: Any, name: str, limits: Limits) -> NiftiHeader:
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" and dtype.names not in _COLOURS:
        raise UnreadableError(
            f"{name} stores {dtype}",
            "complex samples are no intensities",
            "convert it to one channel",
            code="sample-type",
        )
    shape = tuple(int(n) for n in header.get_data_shape())
    space, volumes = shape[:3], math.prod(shape[3:])
    if not 2 <= len(shape) <= 5 or min(*space, volumes) < 1:
        raise UnreadableError(f"{name} has an impossible shape", str(shape), "write it again", code="bad-header")
    limits.check("files", volumes, name)
    for size in space:
        limits.check("axis", size, name)
    affine, notes = _affine(header)
    if dtype.names:
        notes += ("colour: colour samples were turned into luminance",)
    raw_slope, raw_intercept = header.get_slope_inter()
    slope, intercept = float(1.0 if raw_slope is None else raw_slope), float(raw_intercept or 0.0)
    offset = max(int(header.get_data_offset()), 0)
    unit: Literal["mm", "pixel"] = "pixel" if header.get_xyzt_units()[0] == "unknown" else "mm"
    grid = Grid.from_affine(space[::-1], affine) if len(space) == 3 else _plane(space[::-1], affine, unit)
    return NiftiHeader(grid, dtype, offset, slope, intercept, volumes, notes)


def _affine(header: Any) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Return the LPS affine: sform, else qform, else the voxel sizes alone."""
    notes = []
    sform, qform = header.get_sform(coded=True), header.get_qform(coded=True)
    if sform[0] is not None:
        ras = sform[0]
        if qform[0] is not None and not np.allclose(ras, qform[0], atol=1e-2 * np.abs(ras).max()):
            notes.append("two-affines: sform and qform disagree; the sform was taken")
    elif qform[0] is not None:
        ras = qform[0]
    else:
        ras = header.get_base_affine()
        notes.append(
            "no-affine: the header gives no position and no directions, voxel sizes alone; sides are not certain"
        )
    unit = header.get_xyzt_units()[0]
    ras = np.asarray(ras, dtype=np.float64).copy()
    ras[:3] *= _MM.get(unit, 1.0)
    if np.array_equal(np.abs(ras), np.eye(4)):
        notes.append(
            "identity-affine: the affine is the identity, as if it was never written; sizes and sides are not certain"
        )
    return _RAS_TO_LPS @ ras, tuple(notes)


def _plane(shape: tuple[int, ...], affine: npt.NDArray[np.float64], unit: Literal["mm", "pixel"]) -> Grid:
    """Return the grid of a picture `(y, x)` that was written as a NIfTI of two axes."""
    columns = affine[:2, :2]
    spacing_xy = np.linalg.norm(columns, axis=0)
    if np.any(spacing_xy == 0):
        return Grid.picture((shape[0], shape[1]))
    direction = tuple(float(v) for v in (columns / spacing_xy).ravel())
    origin = (float(affine[0, 3]), float(affine[1, 3]))
    return Grid(shape, (float(spacing_xy[1]), float(spacing_xy[0])), origin, direction, unit)


def nifti_bytes(array: npt.NDArray, grid: Grid, *, level: int = 1) -> bytes:
    """Return a .nii.gz of an array `[z, y, x]` or `[y, x]`; no time and no name in it, so equal input gives equal bytes.

    The way back is exact: samples as they are, the grid's affine in the sform (RAS, single precision).
    """
    header = _KINDS[348]()
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape[::-1])
    affine = _RAS_TO_LPS @ _three_dimensional(grid)
    header.set_sform(affine, code=2)
    header.set_qform(affine, code=2)
    header.set_xyzt_units("mm" if grid.unit == "mm" else "unknown")
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    samples = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return igzip.compress(header.binaryblock + bytes(4) + samples.tobytes(), compresslevel=level, mtime=0)


def _three_dimensional(grid: Grid) -> npt.NDArray[np.float64]:
    if grid.ndim == 3:
        return grid.affine
    affine = np.eye(4)
    affine[:2, :2], affine[:2, 3] = grid.affine[:2, :2], grid.affine[:2, 2]
    return affine
