"""DICOM RTSTRUCT as label maps: closed contours filled on the slices of the image they were drawn on."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.errors import MismatchError, UnreadableError
from radfoundry.geometry import Grid
from radfoundry.studies.containers import open_container, read_file
from radfoundry.studies.contours import fill_polygon
from radfoundry.studies.dicom import guarded, read_dataset
from radfoundry.studies.layers import Layer, Patch, pack
from radfoundry.studies.limits import Limits
from radfoundry.studies.sources import ImageSource

__all__ = ["read_rtstruct"]


def read_rtstruct(source: ImageSource, limits: Limits, image: Grid) -> list[Layer]:
    """Return label maps on `image`, numbered in the order of the file; a second contour inside a first one cuts a hole.

    A voxel is inside when its centre is. Raises MismatchError where contours lie off the image, UnreadableError where there are none.
    """
    if source.files:
        with open_container(source.path, limits) as container, container.open(source.files[0]) as stream:
            data = stream.read()
    else:
        data = read_file(source.path, limits)
    dataset, _, _ = read_dataset(io.BytesIO(data), source.label)
    rois = guarded(lambda: _rois(dataset), source.label)
    if not rois:
        raise UnreadableError(f"{source.label} has no contours", "no structure in it is outlined", code="no-contours")
    names = {number: name for number, (name, _) in enumerate(rois, start=1)}
    patches: list[Patch] = []
    off = 0
    for number, (_, contours) in enumerate(rois, start=1):
        drawn, missed = _fill(contours, image, number)
        patches += drawn
        off += missed
    if off and not patches:
        raise MismatchError(
            f"{source.label} lies off its image", f"none of its {off} contours is on a slice", code="off-grid"
        )
    notes = (f"off-grid: {off} contours lie on no slice of the image and were left out",) if off else ()
    return pack(patches, image, names, notes)


def _rois(dataset: Any) -> list[tuple[str, list[npt.NDArray[np.float64]]]]:
    """Return (name, contours (points, xyz) in mm) of each outlined structure."""
    names = {
        int(r.ROINumber): str(r.get("ROIName") or r.ROINumber).strip()
        for r in dataset.get("StructureSetROISequence") or ()
    }
    found = []
    for roi in dataset.get("ROIContourSequence") or ():
        contours = []
        for contour in roi.get("ContourSequence") or ():
            points = np.asarray([float(v) for v in contour.get("ContourData") or ()]).reshape(-1, 3)
            if str(contour.get("ContourGeometricType")) == "CLOSED_PLANAR" and len(points) > 2:
                contours.append(points)
        if contours:
            found.append((names.get(int(roi.ReferencedROINumber), str(roi.ReferencedROINumber)), contours))
    return found


def _fill(contours: list[npt.NDArray[np.float64]], image: Grid, label: int) -> tuple[list[Patch], int]:
    """Fill each contour in the canonical plane in which it is flat; even-odd, so an inner contour is a hole."""
    masks: dict[tuple[int, int], npt.NDArray[np.bool_]] = {}
    off = 0
    for points in contours:
        index = image.to_index(points)
        flat = int(np.argmin(np.ptp(index, axis=0)))
        height = float(np.mean(index[:, flat]))
        slot = round(height)
        if np.ptp(index[:, flat]) > 0.5 or abs(height - slot) > 0.4 or not 0 <= slot < image.shape[flat]:
            off += 1
            continue
        rows, columns = (n for axis, n in enumerate(image.shape) if axis != flat)
        area = fill_polygon(np.delete(index, flat, axis=1), (rows, columns))
        masks[flat, slot] = masks[flat, slot] ^ area if (flat, slot) in masks else area
    drawn = [Patch(label, (slice(None),) * flat + (slot,), mask) for (flat, slot), mask in masks.items() if mask.any()]
    return drawn, off
