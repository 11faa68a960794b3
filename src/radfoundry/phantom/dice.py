"""Draws that are the same on any machine and under any NumPy: the raw words of PCG64, and exact arithmetic on them.

NumPy freezes the words of its bit generators but not what `Generator.normal` or `choice` make of them; so these are made here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Dice"]

T = TypeVar("T")

# standard deviation of the sum of four uniform 16-bit words
_SUM_SD = math.sqrt((65536.0**2 - 1) / 3)
_EVEN, _LOW = np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)
_16, _32 = np.uint64(16), np.uint64(32)


class Dice:
    """A named stream of draws: the same names give the same draws, other names give independent ones."""

    def __init__(self, *names: str | int) -> None:
        digest = hashlib.blake2b("\x1f".join(map(str, names)).encode(), digest_size=16, person=b"phantom").digest()
        self._bits = np.random.PCG64(int.from_bytes(digest, "little"))

    def unit(self) -> float:
        """A number in [0, 1)."""
        return float(int(self._bits.random_raw()) >> 11) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def middling(self, low: float, high: float) -> float:
        """A number in [low, high) that prefers the middle (triangular)."""
        return low + (high - low) * 0.5 * (self.unit() + self.unit())

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.unit() < probability

    def whole(self, low: int, high: int) -> int:
        """A whole number with low <= n <= high."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.whole(0, len(items) - 1)]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in a drawn order."""
        rest = list(items)
        return [rest.pop(self.whole(0, len(rest) - 1)) for _ in range(len(rest))]

    def noise(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """White noise of mean 0 and standard deviation 1, near enough normal: each sample the sum of four 16-bit words."""
        words = np.asarray(self._bits.random_raw(int(np.prod(shape))))
        pairs = (words & _EVEN) + ((words >> _16) & _EVEN)
        total = ((pairs & _LOW) + (pairs >> _32)).astype(np.int32) - 2 * 65535
        return (total.astype(np.float32) * np.float32(1 / _SUM_SD)).reshape(shape)
