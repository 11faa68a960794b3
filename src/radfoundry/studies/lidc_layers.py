"""LIDC annotation XML as a mask: each nodule once, where its readers agree, on the grid of its scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from radfoundry.errors import MismatchError
from radfoundry.geometry import Grid
from radfoundry.studies.layers import Layer, Patch, pack
from radfoundry.studies.lidc import ContourRule, Nodule, consensus, match_readers, read_lidc, reader_masks
from radfoundry.studies.limits import Limits

__all__ = ["CONTOUR_RULE", "lidc_layers"]

# LIDC's readers drew on the first pixels outside a nodule, so the contour's own pixels do not belong to it
CONTOUR_RULE: ContourRule = "out"
_NAME = "lung nodule"


def lidc_layers(path: Path, image: Grid, limits: Limits) -> list[Layer]:
    """Return label maps of the nodules: voxels that at least two readers marked, or the one reader's where only one did.

    image: the canonical axial grid of the scan. Raises MismatchError where no outlined slice lies in it.
    """
    nodules = read_lidc(path, limits)
    slices = _slices(nodules, image)
    masks = reader_masks(nodules, image, slices, CONTOUR_RULE)
    if not masks:
        raise MismatchError(
            f"{path.name} outlines nothing in its image",
            f"{len(nodules)} nodules, none on a slice of the scan",
            "give the annotation of this scan",
            code="annotation-elsewhere",
        )
    patches, names = [], {}
    for label, group in enumerate(match_readers(masks), start=1):
        box, mask = consensus(group, 2 if len(group) > 1 else 1)
        names[label] = _NAME
        for level in range(box.start[0], box.stop[0]):
            whole = np.zeros(image.shape[1:], np.bool_)
            whole[box.slices[1:]] = mask[level - box.start[0]]
            patches.append(Patch(label, level, whole))
    note = f"lidc: contour pixels {CONTOUR_RULE}, voxels of at least 2 readers, of 1 where only one outlined the nodule"
    return pack(patches, image, names, (note,))


def _slices(nodules: list[Nodule], image: Grid) -> dict[str, int]:
    """SOP instance -> slice, by the height that the outline states; what is off by more than a quarter of a slice is elsewhere."""
    found = {}
    for outline in (o for nodule in nodules for o in nodule.outlines):
        level = (outline.z_mm - image.origin[2]) / image.spacing[0]
        if abs(level - round(level)) <= 0.25 and 0 <= round(level) < image.shape[0]:
            found[outline.sop_uid] = round(level)
    return found
