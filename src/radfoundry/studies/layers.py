"""Structures that may overlap, packed into as few label maps as possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radfoundry.geometry import Grid

__all__ = ["Layer", "Patch", "pack"]


@dataclass(frozen=True)
class Layer:
    """A label map in which no two structures share a sample."""

    array: npt.NDArray
    grid: Grid
    names: Mapping[int, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patch:
    """The part of one structure on one slice: which slice of the array (an index along z, or an index expression), and the mask on it."""

    label: int
    slice: int | tuple[int | slice, ...]
    mask: npt.NDArray[np.bool_]


def pack(patches: Iterable[Patch], grid: Grid, names: Mapping[int, str], notes: tuple[str, ...]) -> list[Layer]:
    """Return the layers; each structure goes whole into the first layer where it meets no other one."""
    dtype = np.uint8 if max(names, default=0) < 256 else np.uint16
    by_label: dict[int, list[Patch]] = {}
    for patch in patches:
        by_label.setdefault(patch.label, []).append(patch)
    arrays: list[npt.NDArray] = []
    inside: list[list[int]] = []
    for label, parts in sorted(by_label.items()):
        free = next(
            (i for i, a in enumerate(arrays) if not any(np.any(a[p.slice][p.mask]) for p in parts)), len(arrays)
        )
        if free == len(arrays):
            arrays.append(np.zeros(grid.shape, dtype))
            inside.append([])
        for part in parts:
            arrays[free][part.slice][part.mask] = label
        inside[free].append(label)
    if not arrays:
        return [Layer(np.zeros(grid.shape, dtype), grid, dict(names), notes)]
    return [
        Layer(a, grid, {label: names[label] for label in labels}, notes)
        for a, labels in zip(arrays, inside, strict=True)
    ]
