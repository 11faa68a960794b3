"""Conversations before and after they are ids: turns of parts, and ids with the places of what is not text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from radfoundry.errors import UsageError

__all__ = ["Box", "Encoded", "ImagePart", "Part", "Pointer", "RegionPart", "Turn", "plain_text"]

Box = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class ImagePart:
    """The image with this index among the conversation's images."""

    image: int = 0


@dataclass(frozen=True)
class RegionPart:
    """A region that is given to the model: a mask on the view, or a half-open voxel box on it."""

    image: int = 0
    mask: NDArray[np.bool_] | None = None
    box_zyx: Box | None = None


@dataclass(frozen=True)
class Pointer:
    """An answer that points: `kind` is "mask" or "box", the truth (if known) is on the image's view."""

    kind: str
    image: int = 0
    mask: NDArray[np.bool_] | None = None
    box_zyx: Box | None = None


Part = str | ImagePart | RegionPart | Pointer


@dataclass(frozen=True)
class Turn:
    """What one side says, in order."""

    role: str
    parts: Sequence[Part]


@dataclass
class Encoded:
    """A conversation as ids; positions of what is not text."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    image_at: list[tuple[int, int, int]] = field(default_factory=list)
    """(position, image, tokens)"""
    regions: list[tuple[int, RegionPart]] = field(default_factory=list)
    pointers: list[tuple[int, Pointer]] = field(default_factory=list)
    extra: list[tuple[int, int]] = field(default_factory=list)
    """(position, row) of a family's extra tokens in the visual table."""
    prefix_length: int = 0

    def add(self, ids: Sequence[int], learn: bool) -> None:
        """Append ids, as labels too if they are to be learned."""
        self.ids.extend(ids)
        self.labels.extend(ids if learn else [-100] * len(ids))

    def prefix(self) -> Encoded:
        """What stands before the first words."""
        n = self.prefix_length
        images = [span for span in self.image_at if span[0] < n]
        extra = [pair for pair in self.extra if pair[0] < n]
        return Encoded(self.ids[:n], self.labels[:n], images, extra=extra, prefix_length=n)

    def branch(self) -> Encoded:
        """What follows the prefix, positions counted from the prefix's end."""
        n = self.prefix_length
        return Encoded(
            self.ids[n:],
            self.labels[n:],
            [(at - n, image, count) for at, image, count in self.image_at if at >= n],
            [(at - n, part) for at, part in self.regions],
            [(at - n, part) for at, part in self.pointers],
            [(at - n, row) for at, row in self.extra if at >= n],
        )


def plain_text(parts: Sequence[Part]) -> str:
    """The text of parts, for models that have nothing else.

    Raises:
        UsageError: a region or pointer is among them.
    """
    if not all(isinstance(part, str) for part in parts):
        raise UsageError("this model reads and writes no regions", "it answers in text alone")
    return "".join(part for part in parts if isinstance(part, str))
