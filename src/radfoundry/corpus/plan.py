"""Waves: which sources are worked on together. A function of the keys alone, never of workers or of how the input lies on disk.

A wave is all sources whose hashed key begins with the wave's bits; a wave that would hold too many is split in two. So a corpus
that grows keeps nearly all its waves: a new source changes only the wave that it falls into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.corpus.pipeline import Source

__all__ = ["PlannedWave", "plan_waves"]

_BITS = 64


@dataclass(frozen=True, eq=False)
class PlannedWave:
    """A wave's name ("w" and its bits) and the places of its sources in the sequence, in the order of their keys' hashes."""

    name: str
    places: npt.NDArray[np.intp]
    hashes: npt.NDArray[np.uint64]

    def sources(self, sources: Sequence[Source]) -> tuple[Source, ...]:
        """Return the sources of the wave in its order."""
        return tuple([sources[place] for place in self.places.tolist()])

    @property
    def inputs(self) -> bytes:
        """The hashes as eight bytes each, for the manifest."""
        return self.hashes.astype(">u8").tobytes()

    def only(self, wanted: npt.NDArray[np.bool_]) -> PlannedWave:
        """Return the wave with some of its sources."""
        return PlannedWave(self.name, self.places[wanted], self.hashes[wanted])


def plan_waves(sources: Iterable[Source], wave_rows: int) -> list[PlannedWave]:
    """Return waves of at most `wave_rows` sources, in the order of their names; two sources of one key share a wave."""
    hashes = np.frombuffer(b"".join([_digest(source.key) for source in sources]), ">u8").astype(np.uint64)
    order = np.argsort(hashes, kind="stable")
    return list(_split(hashes[order], order, wave_rows, 0, 0))


def _split(
    hashes: npt.NDArray[np.uint64], order: npt.NDArray[Any], wave_rows: int, prefix: int, depth: int
) -> Iterator[PlannedWave]:
    if not hashes.size:
        return
    if hashes.size <= wave_rows or depth == _BITS:
        yield PlannedWave("w" + (f"{prefix:0{depth}b}" if depth else ""), order, hashes)
        return
    upper = (prefix << 1 | 1) << (_BITS - depth - 1)
    middle = int(np.searchsorted(hashes, np.uint64(upper)))
    yield from _split(hashes[:middle], order[:middle], wave_rows, prefix << 1, depth + 1)
    yield from _split(hashes[middle:], order[middle:], wave_rows, prefix << 1 | 1, depth + 1)


def _digest(key: str) -> bytes:
    """64 bits of BLAKE2b of a key: its place in the plan, and its name in manifests, which hold no keys."""
    return blake2b(key.encode(), digest_size=8).digest()
