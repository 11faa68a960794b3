"""Small files whose content is known: DICOM slices, NIfTI, and grids in all 48 orientations, straight and oblique."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from radfoundry.geometry import Grid

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_STORAGE = "1.2.840.10008.5.1.4.1.1.4"

# every way to lay index axes along patient axes: 6 permutations x 8 signs
ORIENTATIONS = [
    np.eye(3)[list(order)] * np.array(signs)[:, None]
    for order in permutations(range(3))
    for signs in product((1.0, -1.0), repeat=3)
]


def rotation(degrees: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """A rotation about x, then y, then z."""
    out = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        out = step @ out
    return out


@st.composite
def grids(draw: st.DrawFn, *, right_handed: bool = False, max_tilt: float = 40.0) -> Grid:
    """Any shape, anisotropy, orientation and obliqueness. right_handed: what stacked DICOM slices can be."""
    shape = tuple(draw(st.integers(3, 6)) for _ in range(3))
    spacing = tuple(draw(st.floats(0.3, 8.0)) for _ in range(3))
    origin = tuple(draw(st.floats(-400, 400)) for _ in range(3))
    base = draw(st.sampled_from(ORIENTATIONS))
    tilt = tuple(draw(st.floats(-max_tilt, max_tilt)) for _ in range(3)) if draw(st.booleans()) else (0.0, 0.0, 0.0)
    direction = rotation(tilt) @ base
    if right_handed and np.linalg.det(direction) < 0:
        direction = direction * np.array([1.0, 1.0, -1.0])
    return Grid(shape, spacing, origin, tuple(float(v) for v in direction.ravel()))


def numbered(grid: Grid, dtype: str = "int16") -> npt.NDArray:
    """An array in which every sample is different."""
    return np.arange(np.prod(grid.shape)).reshape(grid.shape).astype(dtype)


def same_samples(
    array: npt.NDArray, grid: Grid, other: npt.NDArray, other_grid: Grid, tolerance_mm: float = 2e-3
) -> bool:
    """Whether two arrays of distinct values hold each value at the same place in the patient."""
    if sorted(array.ravel().tolist()) != sorted(other.ravel().tolist()):
        return False
    here = np.argsort(array.ravel(), kind="stable")
    there = np.argsort(other.ravel(), kind="stable")
    a = grid.to_world(np.stack(np.unravel_index(here, array.shape), axis=-1))
    b = other_grid.to_world(np.stack(np.unravel_index(there, other.shape), axis=-1))
    return bool(np.abs(a - b).max() < tolerance_mm)


def dicom_slice(pixels: npt.NDArray, **elements: object) -> Dataset:
    """One single-frame object; keyword arguments are elements by keyword, None leaves one out."""
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = str(elements.pop("SOPClassUID", CT_STORAGE))
    d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = str(elements.pop("SOPInstanceUID", generate_uid()))
    d.Modality, d.PatientID = "CT", "P1"
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = "1.2.3", "1.2.3.4", "1.2.3.5"
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.Rows, d.Columns = pixels.shape[-2:]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated = d.BitsStored = pixels.dtype.itemsize * 8
    d.HighBit, d.PixelRepresentation = d.BitsStored - 1, int(pixels.dtype.kind == "i")
    d.RescaleSlope, d.RescaleIntercept = 1, 0
    d.PixelData = np.ascontiguousarray(pixels).tobytes() + b"\0" * (pixels.nbytes % 2)
    for key, value in elements.items():
        if value is None:
            del d[key]
        else:
            setattr(d, key, value)
    return d


def save(dataset: Dataset, path: Path) -> Path:
    """Write an object as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def series_datasets(array: npt.NDArray, grid: Grid, **elements: object) -> list[Dataset]:
    """Slices of an array [z, y, x] whose grid is right-handed, in order."""
    directions = grid.direction_matrix
    orientation = [f"{v:.10f}"[:16] for v in (*directions[:, 0], *directions[:, 1])]
    out = []
    for k in range(grid.shape[0]):
        position = [f"{v:.9f}"[:16] for v in grid.to_world((k, 0, 0))]
        out.append(
            dicom_slice(
                array[k],
                ImageOrientationPatient=orientation,
                ImagePositionPatient=position,
                PixelSpacing=[f"{v:.12f}"[:16] for v in grid.spacing[1:]],
                SliceThickness=str(grid.spacing[0])[:16],
                InstanceNumber=k + 1,
                SeriesNumber=7,
                **elements,
            )
        )
    return out


def save_series(
    folder: Path, array: npt.NDArray, grid: Grid, *, order: list[int] | None = None, **elements: object
) -> tuple[str, ...]:
    """Write a series; file i holds slice order[i], so that names are not geometry. Returns the names."""
    datasets = series_datasets(array, grid, **elements)
    names = []
    for i, k in enumerate(order or range(len(datasets))):
        save(datasets[k], folder / f"{i:03d}.dcm")
        names.append(f"{i:03d}.dcm")
    return tuple(names)
