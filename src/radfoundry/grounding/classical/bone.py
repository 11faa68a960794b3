"""Bone: what is dense, without vessels and organs full of contrast agent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from radfoundry.grounding.classical.morphology import (
    Mask,
    close,
    distance_mm,
    fill_slices,
    grow,
    pieces,
    pieces_in_slices,
    sizes,
)

__all__ = ["find_bone"]

DENSE_HU = 130.0
# every bone has some of this
HARD_HU = 250.0
LEAST_ML = 0.4
# sponge between hard edges; marrow within them; more than a large vertebra
CLOSE_MM, SPONGE_HU = 5.0, 80.0
MARROW_HU, WIDEST_MM2 = 48.0, 2500.0
# thicker than any rib: vertebrae, large joints, and whatever is full of contrast agent
THICK_MM = 8.0
CORE_ML = 0.3


def find_bone(hu: npt.NDArray[np.float32], body: Mask, lungs: Mask, spacing: tuple[float, ...]) -> Mask:
    """Return the bones of the body, spongy bone included."""
    dense = (hu > DENSE_HU) & body & ~lungs
    dense &= ~(_contrast(hu, dense, body, spacing) | _between(lungs, body))
    labels = pieces(dense)
    counts = sizes(labels)
    hard = np.bincount(labels.ravel(), weights=(hu > HARD_HU).ravel(), minlength=len(counts))
    least = LEAST_ML * 1000 / float(np.prod(spacing))
    shell = ((counts >= least) & (hard >= 0.1 * np.maximum(counts, 1)))[labels]
    return _with_marrow(hu, shell, spacing)


def _with_marrow(hu: npt.NDArray[np.float32], shell: Mask, spacing: tuple[float, ...]) -> Mask:
    """Return the bones with their sponge: what the shell encloses in a slice, unless it is as light as the spinal canal."""
    bone = shell | (close(shell, spacing, CLOSE_MM) & (hu > SPONGE_HU))
    holes = pieces_in_slices(fill_slices(bone) & ~bone)
    counts = np.bincount(holes.ravel())
    means = np.bincount(holes.ravel(), weights=hu.ravel()) / np.maximum(counts, 1)
    marrow = (means > MARROW_HU) & (counts * spacing[1] * spacing[2] < WIDEST_MM2)
    marrow[0] = False
    return bone | marrow[holes]


def _between(lungs: Mask, body: Mask) -> Mask:
    """Return what lies between the lungs in the front half of the body: heart and great vessels, no bone."""
    front, back, _ = _frame(body)
    between = np.logical_or.accumulate(lungs, axis=2) & np.logical_or.accumulate(lungs[:, :, ::-1], axis=2)[:, :, ::-1]
    between[:, int(front + 0.5 * (back - front)) :] = False
    return between


def _contrast(hu: npt.NDArray[np.float32], dense: Mask, body: Mask, spacing: tuple[float, ...]) -> Mask:
    """Return vessels, heart and kidneys that contrast agent made dense: thick, in front of the spine or with a soft rim."""
    depth = distance_mm(dense, spacing)
    labels = pieces(depth > THICK_MM)
    front, back, middle = _frame(body)
    least = CORE_ML * 1000 / float(np.prod(spacing))
    contrast = np.zeros(hu.shape, dtype=bool)
    for label, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), 1):
        where = _wider(box, THICK_MM + 4, spacing)
        core = labels[where] == label
        if np.count_nonzero(core) < least:
            continue
        reached = dense[where] & grow(core, spacing, THICK_MM + 1.5 * max(spacing[1:]))
        _, y, x = np.nonzero(core)
        before_spine = (y + where[1].start - front) < 0.55 * (back - front)
        beside = np.abs(x + where[2].start - middle) * spacing[2] > 14
        if (before_spine | beside).mean() > 0.6 and _is_smooth(hu[where], core, reached & ~core):
            contrast[where] |= reached
    return contrast


def _is_smooth(hu: npt.NDArray[np.float32], core: Mask, rim: Mask) -> bool:
    """Say whether a thing is alike inside and no denser at its rim, as vessels are; bones are sponges in a shell."""
    mean, deviation = float(hu[core].mean()), float(hu[core].std())
    return bool(deviation < 0.3 * mean and (not rim.any() or float(np.median(hu[rim])) < 1.02 * mean))


def _wider(box: tuple[slice, ...], mm: float, spacing: tuple[float, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(max(0, b.start - int(mm / s) - 1), b.stop + int(mm / s) + 1) for b, s in zip(box, spacing, strict=True)
    )


def _frame(body: Mask) -> tuple[float, float, float]:
    """Return the body's front, back and midline as indices."""
    y = np.flatnonzero(body.any(axis=(0, 2)))
    x = np.flatnonzero(body.any(axis=(0, 1)))
    return float(y[0]), float(y[-1] + 1), float(x.mean())
