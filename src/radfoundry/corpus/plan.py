"""Waves: which sources are worked on together. A function of the keys alone, never of workers or of how the input lies on disk.

A wave is all sources whose hashed key begins with the wave's bits; a wave that would hold too many is split in two. So a corpus
that grows keeps nearly all its waves: a new source changes only the wave that it falls into.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.corpus.pipeline import Source

__all__ = ["PlannedWave", "key_hash", "plan_waves"]

_BITS = 64


@dataclass(frozen=True, eq=False)
class PlannedWave:
    """A wave's name ("w" and its bits) and the places of its sources in the sequence, in the order of their hashes."""

    name: str
    places: npt.NDArray[np.intp]

    def sources(self, sources: Sequence[Source]) -> tuple[Source, ...]:
        """Return the sources of the wave in the order of their keys."""
        return tuple(sorted((sources[int(place)] for place in self.places), key=_key))

    def first(self, count: int) -> PlannedWave:
        """Return the wave cut to its first sources."""
        return PlannedWave(self.name, self.places[:count])


def plan_waves(sources: Sequence[Source], wave_rows: int) -> list[PlannedWave]:
    """Return waves of at most `wave_rows` sources, in the order of their names; two sources of one key share a wave."""
    hashes = np.fromiter((key_hash(source.key) for source in sources), dtype=np.uint64, count=len(sources))
    order = np.argsort(hashes, kind="stable")
    return list(_split(hashes[order], order, wave_rows, 0, 0))


def _split(
    hashes: npt.NDArray[np.uint64], order: npt.NDArray[Any], wave_rows: int, prefix: int, depth: int
) -> Iterator[PlannedWave]:
    if not hashes.size:
        return
    if hashes.size <= wave_rows or depth == _BITS:
        yield PlannedWave("w" + (f"{prefix:0{depth}b}" if depth else ""), order)
        return
    upper = (prefix << 1 | 1) << (_BITS - depth - 1)
    middle = int(np.searchsorted(hashes, np.uint64(upper)))
    yield from _split(hashes[:middle], order[:middle], wave_rows, prefix << 1, depth + 1)
    yield from _split(hashes[middle:], order[middle:], wave_rows, prefix << 1 | 1, depth + 1)


def key_hash(key: str) -> int:
    """Return 64 bits of BLAKE2b of a key: its place in the plan, and its name in manifests, which hold no keys."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")


def _key(source: Source) -> str:
    return source.key
