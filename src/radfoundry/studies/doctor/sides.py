"""Anatomy against the header: a spine in front, a belly above the lungs, a liver on the left, or left-named labels on the right.

Without labels the evidence is coarse, so only a whole trunk is judged and only what is plain is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from radfoundry.geometry import Grid
from radfoundry.studies.doctor.finding import Finding
from radfoundry.studies.read import ReadImage

__all__ = ["flip_findings", "name_side_findings"]

_BODY, _BONE, _AIR = -300, 250, -500
_LEAST_TRUNK_MM = 120.0
_MEND = "check the affine or ImageOrientationPatient (a few patients really are mirrored: situs inversus)"


class _Trunk(NamedTuple):
    """A coarse copy of a trunk: HU, the body without the table, spacing (z, y, x)."""

    hu: npt.NDArray
    body: npt.NDArray[np.bool_]
    spacing: npt.NDArray[np.float64]


def flip_findings(path: str, image: ReadImage) -> Iterator[Finding]:
    """Yield flip-head-foot, flip-front-back and flip-left-right for a CT of a trunk whose anatomy contradicts its header."""
    if image.unit != "HU" or image.pixels.ndim != 3:
        return
    trunk = _trunk(image)
    if trunk is None:
        return
    if (upside := _lungs_at_the_feet(trunk)) is not None:
        yield Finding(
            path, "warning", "flip-head-foot", f"{upside:.0f} mm of trunk lie above the lungs and none below", _MEND
        )
    if (front := _spine_in_front(trunk)) is not None:
        yield Finding(
            path,
            "warning",
            "flip-front-back",
            f"the spine lies {front:.0f} mm in front of the middle of the body",
            _MEND,
        )
    elif (shift := _liver_on_left(trunk)) is not None:
        yield Finding(
            path,
            "warning",
            "flip-left-right",
            f"what looks like the liver lies on the left by the header: {shift}",
            _MEND,
        )


def _trunk(image: ReadImage) -> _Trunk | None:
    step = [max(1, round(4.0 / s)) for s in image.grid.spacing]
    hu = image.pixels[:: step[0], :: step[1], :: step[2]]
    spacing = np.asarray(image.grid.spacing) * step
    if hu.shape[0] * spacing[0] < _LEAST_TRUNK_MM or min(hu.shape[1:]) < 20:
        return None
    parts, count = ndimage.label(ndimage.binary_opening(hu > _BODY, iterations=1))
    if count == 0:
        return None
    body = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    body = np.stack([ndimage.binary_fill_holes(level) for level in body])
    wide = np.ptp(np.nonzero(body.any(axis=(0, 1)))[0]) * spacing[2] if body.any() else 0.0
    return _Trunk(hu, body, spacing) if wide > 220 else None


def _lungs_at_the_feet(trunk: _Trunk) -> float | None:
    """Return how many mm of wide, airless trunk lie above the lungs where nothing lies below them: a belly in the neck's place."""
    across = trunk.body.any(axis=1).sum(axis=1) * trunk.spacing[2]
    air = ((trunk.hu < _AIR) & trunk.body).sum(axis=(1, 2)) * np.prod(trunk.spacing[1:])
    chest = np.flatnonzero(air > 4000)
    if len(chest) * trunk.spacing[0] < 40:
        return None
    above = np.arange(len(air)) > chest[-1]
    wide = float(np.count_nonzero(above & (across > 0.8 * across[chest].mean()))) * trunk.spacing[0]
    below = float(chest[0]) * trunk.spacing[0]
    return wide if wide > 90 and below < 30 else None


def _spine_in_front(trunk: _Trunk) -> float | None:
    """Return by how many mm the densest column of bone along z lies in front of the body's middle; None where it does not."""
    bone = (trunk.hu > _BONE) & trunk.body
    if np.count_nonzero(bone) < 50:
        return None
    # ribs and pelvis surround the body; what is bone at one place in most slices is the spine
    column = ndimage.gaussian_filter(bone.mean(axis=0), 2.0)
    y, _ = np.unravel_index(int(np.argmax(column)), column.shape)
    middle = float(np.mean(np.nonzero(trunk.body)[1]))
    ahead = (middle - float(y)) * trunk.spacing[1]
    return ahead if ahead > 20 else None


def _liver_on_left(trunk: _Trunk) -> str | None:
    """Weigh the solid tissue of liver and heart by side; None unless it is plainly on the wrong one."""
    solid = ndimage.binary_opening((trunk.hu > 0) & (trunk.hu < 180) & trunk.body, iterations=2)
    lung = (trunk.hu < _AIR) & trunk.body
    air = lung.sum(axis=(1, 2)) * np.prod(trunk.spacing[1:])
    chest = np.flatnonzero(air > 4000)
    if len(chest) * trunk.spacing[0] < 40:
        return None
    # the dome of the liver: the slices around the lower end of the lungs
    low = int(chest[0])
    reach = max(1, round(50 / trunk.spacing[0]))
    dome = slice(max(0, low - reach), min(len(air), low + reach))
    xs = np.arange(trunk.hu.shape[2])
    middle = float(np.mean(np.nonzero(trunk.body[dome])[2]))
    tissue = solid[dome].sum(axis=(0, 1))
    right, left = float(tissue[xs < middle].sum()), float(tissue[xs > middle].sum())
    gas = ((trunk.hu[dome] < _AIR) & trunk.body[dome]).sum(axis=(0, 1))
    gas_right, gas_left = float(gas[xs < middle].sum()), float(gas[xs > middle].sum())
    if left > 1.25 * right and gas_right > gas_left and len(chest) < len(air):
        return f"solid tissue below the lungs: {left / max(right, 1):.1f} times as much on the left"
    return None


def name_side_findings(path: str, labels: npt.NDArray, grid: Grid, names: Mapping[int, str]) -> Iterator[Finding]:
    """Yield sides-swapped where structures named left lie to the right of their namesakes."""
    if grid.ndim != 3:
        return
    value_of = {name: value for value, name in names.items()}
    counts = np.bincount(labels.ravel())
    wrong, right = [], 0
    for name, value in sorted(value_of.items()):
        other = value_of.get(name.replace("left", "right")) if "left" in name else None
        if other is None or max(value, other) >= len(counts) or not counts[value] or not counts[other]:
            continue
        if _middle_x(labels, value, grid) < _middle_x(labels, other, grid):
            wrong.append(name)
        else:
            right += 1
    if len(wrong) > right:
        yield Finding(
            path,
            "error",
            "sides-swapped",
            f"{len(wrong)} structures named left lie on the patient's right by the header ({', '.join(wrong[:3])})",
            _MEND,
        )


def _middle_x(labels: npt.NDArray, value: int, grid: Grid) -> float:
    return float(grid.to_world(np.argwhere(labels == value).mean(axis=0))[0])
