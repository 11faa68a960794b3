"""Conversations before and after they are ids: turns of parts, and ids with the places of what is not text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from radfoundry import anatomy
from radfoundry.errors import UsageError

__all__ = ["Box", "Encoded", "ImagePart", "Part", "Pointer", "RegionPart", "Turn", "plain_text", "spell_names"]

Box = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class ImagePart:
    """The image with this index among the conversation's images."""

    image: int = 0


@dataclass(frozen=True)
class RegionPart:
    """A region that is given to the model: a mask on the view, a half-open voxel box on it, or a name.

    A region that has a name alone is spelled in words ("kidney_left" as "left kidney"), in every family.
    """

    image: int = 0
    mask: NDArray[np.bool_] | None = None
    box_zyx: Box | None = None
    name: str = ""
    """Of the ontology, or any other words."""

    @property
    def placed(self) -> bool:
        """Is it known where the region is?"""
        return self.mask is not None or self.box_zyx is not None


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

    def until(self, n: int) -> Encoded:
        """The first `n` ids, and what stands among them."""
        return Encoded(
            self.ids[:n],
            self.labels[:n],
            [span for span in self.image_at if span[0] < n],
            [pair for pair in self.regions if pair[0] < n],
            [pair for pair in self.pointers if pair[0] < n],
            [pair for pair in self.extra if pair[0] < n],
            min(n, self.prefix_length),
        )

    def prefix(self) -> Encoded:
        """What stands before the first words."""
        return self.until(self.prefix_length)

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

    def follow(self, other: Encoded, first_image: int = 0) -> None:
        """Append another conversation, whose images are numbered from `first_image` on."""
        n = len(self.ids)
        self.ids += other.ids
        self.labels += other.labels
        self.image_at += [(n + at, first_image + image, count) for at, image, count in other.image_at]
        self.regions += [(n + at, replace(part, image=first_image + part.image)) for at, part in other.regions]
        self.pointers += [(n + at, replace(part, image=first_image + part.image)) for at, part in other.pointers]
        self.extra += [(n + at, row) for at, row in other.extra]


def spell_names(turns: Sequence[Turn]) -> list[Turn]:
    """Turns whose regions without a place are words."""
    return [Turn(turn.role, [_spelled(part) for part in turn.parts]) for turn in turns]


def _spelled(part: Part) -> Part:
    if not isinstance(part, RegionPart) or part.placed or not part.name:
        return part
    return anatomy.region(part.name).name if anatomy.is_known(part.name) else part.name


def plain_text(parts: Sequence[Part]) -> str:
    """The text of parts, for models that have nothing else.

    Raises:
        UsageError: a region or pointer is among them.
    """
    if not all(isinstance(part, str) for part in parts):
        raise UsageError("this model reads and writes no regions", "it answers in text alone")
    return "".join(part for part in parts if isinstance(part, str))
