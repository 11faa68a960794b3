"""From stored samples to the values of a modality: rescaled, clamped, and of the two types that leave this room.

CT is int16 in HU; anything whole that fits 16 bits is int16; the rest is float32.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["HU_FLOOR", "HU_TOP", "HuCounter", "looks_like_ct", "to_hu", "to_plain"]

HU_FLOOR, HU_TOP = -1024, 32767


@dataclass
class HuCounter:
    """Counts what was clamped, so that one note can say it for a whole volume."""

    total: int = 0
    below: int = 0
    lowest: float = field(default=0.0)

    def note(self) -> tuple[str, ...]:
        """Return the note on padding, or nothing."""
        if not self.below:
            return ()
        share = self.below / self.total
        return (
            f"padding: {share:.2%} of the samples lay below {HU_FLOOR} HU (down to {self.lowest:.0f}) and were set to {HU_FLOOR}",
        )


def to_hu(values: npt.NDArray, counter: HuCounter) -> npt.NDArray[np.int16]:
    """Return int16 HU (in place where they are int16 already): rounded, at least -1024, at most 32767.

    What lies below -1024 is padding, not tissue.
    """
    lowest = values.min(initial=0)
    counter.total += values.size
    if lowest < HU_FLOOR:
        counter.below += int(np.count_nonzero(values < HU_FLOOR))
        counter.lowest = min(counter.lowest, float(lowest))
    if values.dtype.kind == "f":
        values = np.rint(np.nan_to_num(values, nan=HU_FLOOR))
    if values.dtype == np.int16:
        return np.maximum(values, HU_FLOOR, out=values) if lowest < HU_FLOOR else values
    clipped: npt.NDArray[np.int16] = np.clip(values, HU_FLOOR, HU_TOP).astype(np.int16)
    return clipped


def to_plain(values: npt.NDArray) -> npt.NDArray:
    """Return int16 where every value is whole and fits, float32 otherwise (NaN becomes 0)."""
    if values.dtype.kind == "b":
        return values.astype(np.int16)
    if values.dtype.kind in "iu":
        fits = values.dtype.itemsize == 1 or values.dtype == np.int16 or _fits(values)
        return values.astype(np.int16 if fits else np.float32, copy=False)
    whole = bool(np.isfinite(values).all()) and _fits(values) and bool(np.all(values == np.rint(values)))
    return values.astype(np.int16) if whole else np.nan_to_num(values.astype(np.float32, copy=False))


def _fits(values: npt.NDArray) -> bool:
    info = np.iinfo(np.int16)
    return bool(values.size == 0 or (values.min() >= info.min and values.max() <= info.max))


def looks_like_ct(values: npt.NDArray) -> bool:
    """Say whether values spread as HU do: air or padding far below zero, something near water, nothing beyond metal."""
    sample = values[tuple(slice(None, None, max(1, n // 64)) for n in values.shape)]
    return bool(
        sample.min() <= -500 and sample.max() <= HU_TOP and np.count_nonzero((sample > -300) & (sample < 400)) > 0
    )
