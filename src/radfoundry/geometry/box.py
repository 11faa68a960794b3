"""Axis-aligned boxes in half-open voxel indices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Box"]


@dataclass(frozen=True)
class Box:
    """A half-open box on a named grid: samples with start <= index < stop, axes (z, y, x) or (y, x)."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.start) != len(self.stop) or len(self.start) not in (2, 3):
            raise ValueError(f"a box has two or three axes, got {self.start} and {self.stop}")
        if any(a > b for a, b in zip(self.start, self.stop, strict=True)):
            raise ValueError(f"a box does not end before it starts, got {self.start} and {self.stop}")

    @classmethod
    def from_flat(cls, flat: Iterable[float]) -> Box:
        """Return the box of `(z0, y0, x0, z1, y1, x1)` or `(y0, x0, y1, x1)`."""
        values = tuple(int(v) for v in flat)
        half = len(values) // 2
        return cls(values[:half], values[half:])

    @classmethod
    def of_mask(cls, mask: npt.NDArray) -> Box | None:
        """Return the tightest box around the non-zero samples, or None where there are none."""
        bounds = []
        for axis in range(mask.ndim):
            others = tuple(a for a in range(mask.ndim) if a != axis)
            (hits,) = np.nonzero(mask.any(axis=others))
            if hits.size == 0:
                return None
            bounds.append((int(hits[0]), int(hits[-1]) + 1))
        return cls(tuple(b[0] for b in bounds), tuple(b[1] for b in bounds))

    @property
    def flat(self) -> tuple[int, ...]:
        """`(z0, y0, x0, z1, y1, x1)` or `(y0, x0, y1, x1)`."""
        return self.start + self.stop

    @property
    def size(self) -> tuple[int, ...]:
        """Samples along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def samples(self) -> int:
        """Number of samples inside."""
        return int(np.prod(self.size))

    @property
    def centre(self) -> tuple[float, ...]:
        """Index coordinates of the middle (sample centres lie at whole numbers)."""
        return tuple((a + b - 1) / 2 for a, b in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Slices that cut the box out of an array."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def intersection(self, other: Box) -> Box | None:
        """Return what both boxes hold, or None."""
        start = tuple(max(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = tuple(min(a, b) for a, b in zip(self.stop, other.stop, strict=True))
        return None if any(a >= b for a, b in zip(start, stop, strict=True)) else Box(start, stop)

    def iou(self, other: Box) -> float:
        """Return intersection over union, 0 for two empty boxes."""
        both = self.intersection(other)
        shared = both.samples if both else 0
        union = self.samples + other.samples - shared
        return shared / union if union else 0.0
