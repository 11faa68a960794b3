"""Samples for training: a sequence with random access over Arrow columns, and weighted mixtures of such sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import pyarrow as pa

from radfoundry.arrow import from_table
from radfoundry.errors import UsageError
from radfoundry.records import Sample

__all__ = ["Mixture", "Samples"]


class Samples(Sequence[Sample]):
    """The rows of a `samples` table; a row becomes a `Sample` when it is asked for."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return Samples(self.table.take(list(range(len(self))[index])))
        row: list[Sample] = from_table("samples", self.table.slice(range(len(self))[index], 1))
        return row[0]

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in order, a thousand decoded at a time."""
        for batch in self.table.to_batches(max_chunksize=1000):
            yield from from_table("samples", pa.Table.from_batches([batch]))


class Mixture(Sequence[Sample]):
    """`length` samples drawn from parts in proportion to their weights, in an order that only the seed decides.

    Every stretch of the order holds the parts nearly in proportion; a part is gone through whole, in a new order each time, before
    any of its samples comes again. State for resuming is the index of the next sample.
    """

    def __init__(
        self, parts: Sequence[Sequence[Sample]], weights: Sequence[float], *, length: int, seed: int = 0
    ) -> None:
        share = np.asarray(weights, dtype=float)
        if len(share) != len(parts) or not len(share) or share.min() < 0 or share.sum() <= 0:
            raise UsageError("a mixture needs one weight a part", f"{len(parts)} parts, weights {list(weights)}")
        if any(w > 0 and not len(part) for part, w in zip(parts, weights, strict=True)):
            raise UsageError("a part of the mixture is empty", "its weight cannot be served", "drop it or its filter")
        self._parts = parts
        rng = np.random.default_rng(seed)
        counts = _rounded(share / share.sum() * length, length)
        self.part = np.repeat(np.arange(len(parts)), counts)
        self.row = np.concatenate([_rows(len(part), n, rng) for part, n in zip(parts, counts, strict=True)])
        when = np.concatenate([(np.arange(n) + rng.random(n)) / max(n, 1) for n in counts])
        order = np.argsort(when, kind="stable")
        self.part, self.row = self.part[order], self.row[order]

    def __len__(self) -> int:
        return len(self.part)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        return self._parts[self.part[index]][int(self.row[index])]


def _rounded(exact: np.ndarray, total: int) -> np.ndarray:
    """Round down, then give what is left to the largest remainders."""
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts


def _rows(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` row numbers: one permutation of the part after another."""
    rounds = -(-count // size) if size else 0
    return np.concatenate([rng.permutation(size) for _ in range(rounds)] or [np.empty(0, int)])[:count]
