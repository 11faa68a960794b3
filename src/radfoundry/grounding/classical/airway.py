"""Trachea and main bronchi, followed downwards slice by slice.

In each slice the threshold falls until the piece that continues the branch has the size of an airway: a leak into the lung can
never be larger than one branch of one slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radfoundry.grounding.classical.morphology import Mask, grow, pieces, union

__all__ = ["find_airway"]

THRESHOLDS_HU = (-700.0, -800.0, -860.0, -900.0, -930.0, -950.0, -970.0)
SEED_MM2 = (50.0, 750.0)
WIDEST_MM2 = 900.0
# below this a branch is no longer a main bronchus
NARROWEST_MM2 = 35.0
# a trachea is at least so long, unless the slab ends before
TRACK_MM = 30.0
WALL_HU = -400.0


@dataclass(frozen=True)
class _Branch:
    mask: Mask
    area: float


def find_airway(hu: npt.NDArray[np.float32], body: Mask, spacing: tuple[float, ...]) -> Mask:
    """Return the lumen of trachea and main bronchi; empty where no airway enters the volume from above."""
    tracer = _Tracer(hu, body, spacing)
    airway = tracer.trace()
    if not airway.any():
        return airway
    slices = np.asarray(airway.any(axis=(1, 2)))[:, None, None]
    # half of the edge samples of the lumen are above every threshold; no slices are added above and below
    return airway | (grow(airway, spacing, 1.01 * max(spacing[1:])) & (hu < WALL_HU) & body & slices)


class _Tracer:
    def __init__(self, hu: npt.NDArray[np.float32], body: Mask, spacing: tuple[float, ...]) -> None:
        self.hu, self.body, self.spacing = hu, body, spacing
        self.pixel_mm2 = spacing[1] * spacing[2]

    def trace(self) -> Mask:
        """Follow the first branch from above that is long enough, and all that start in the same slice."""
        for z in range(self.hu.shape[0] - 1, self.hu.shape[0] // 3, -1):
            tracks = [track for seed in self._seeds(z) if self._is_long(track := self._follow(seed, z), z)]
            if tracks:
                return union(tracks)
        return np.zeros(self.hu.shape, dtype=bool)

    def _is_long(self, track: Mask, z: int) -> bool:
        length = int(track.any(axis=(1, 2)).sum())
        enough = max(3, round(TRACK_MM / self.spacing[0]))
        return length >= min(enough, z + 1)

    def _seeds(self, z: int) -> Iterator[_Branch]:
        """Round empty pieces between the lungs' places: near the midline, in the middle third from front to back."""
        where = np.argwhere(self.body[z])
        if len(where) == 0:
            return
        front, back = np.percentile(where[:, 0], (1, 99))
        middle = float(np.median(where[:, 1]))
        for piece in self._pieces(z, -860.0):
            y, x = np.argwhere(piece.mask).T
            round_ = len(y) / ((np.ptp(y) + 1) * (np.ptp(x) + 1)) > 0.45
            central = (
                abs(x.mean() - middle) * self.spacing[2] < 40 and 0.2 < (y.mean() - front) / (back - front + 1) < 0.75
            )
            empty = float(np.percentile(self.hu[z][piece.mask], 10)) < -925
            if round_ and central and empty and SEED_MM2[0] <= piece.area <= SEED_MM2[1]:
                yield piece

    def _pieces(self, z: int, threshold: float) -> Iterator[_Branch]:
        labels = pieces((self.hu[z] < threshold) & self.body[z])
        counts = np.bincount(labels.ravel()) * self.pixel_mm2
        for label in np.flatnonzero(counts <= WIDEST_MM2):
            if label and counts[label] >= NARROWEST_MM2:
                yield _Branch(labels == label, float(counts[label]))

    def _follow(self, seed: _Branch, z: int) -> Mask:
        track = np.zeros(self.hu.shape, dtype=bool)
        branches = [seed]
        while branches:
            for branch in branches:
                track[z] |= branch.mask
            z -= 1
            if z < 0:
                break
            branches = [child for branch in branches for child in self._next(branch, z)][:4]
        return track

    def _next(self, branch: _Branch, z: int) -> list[_Branch]:
        """Return the one or two pieces that continue a branch in the next slice below."""
        reach = grow(branch.mask, self.spacing[1:], max(2.0, 1.01 * max(self.spacing[1:])))
        widest = min(WIDEST_MM2, 1.7 * branch.area + 60)
        found: list[_Branch] = []
        for threshold in THRESHOLDS_HU:
            for piece in self._touching(reach, z, threshold):
                if piece.area <= widest and not any((piece.mask & other.mask).any() for other in found):
                    found.append(piece)
        return found[:2]

    def _touching(self, reach: Mask, z: int, threshold: float) -> Iterator[_Branch]:
        labels = pieces((self.hu[z] < threshold) & self.body[z])
        counts = np.bincount(labels.ravel()) * self.pixel_mm2
        for label in np.unique(labels[reach]):
            if label and counts[label] >= NARROWEST_MM2:
                yield _Branch(labels == label, float(counts[label]))
