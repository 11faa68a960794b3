"""Blind controls: what a model scores without looking. A score means something by its distance to these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from radfoundry.evaluation.tasks import Item
from radfoundry.geometry import Grid
from radfoundry.protocols import Picture, Question

__all__ = ["CONTROLS", "image_removed", "image_shuffled"]

# what air, or a blank film, reads as
_EMPTY = {"CT": -1000.0}


def image_removed(items: Sequence[Item]) -> list[Question]:
    """Return the questions with every picture blank: same grid, no content."""
    blank: dict[str, Picture] = {}
    return [
        replace(i.question, pictures=tuple(blank.setdefault(p.image_id, _blank(p)) for p in i.question.pictures))
        for i in items
    ]


def image_shuffled(items: Sequence[Item]) -> list[Question]:
    """Return the questions over the pictures of another patient, resampled to the grid where the answer is expected.

    Given regions stay where they were. A question whose kind no other patient has is asked over a blank picture.
    """
    out = []
    shown: dict[tuple[str, str], Picture] = {}
    for place, item in enumerate(items):
        other = _other(items, place)
        if other is None:
            out.append(image_removed([item])[0])
            continue
        pairs = zip(item.question.pictures, other.question.pictures, strict=True)
        pictures = tuple(
            shown.setdefault((own.image_id, their.image_id), replace(own, load=partial(_stretched, their, own.grid)))
            for own, their in pairs
        )
        out.append(replace(item.question, pictures=pictures))
    return out


CONTROLS: dict[str, Callable[[Sequence[Item]], list[Question]]] = {
    "image-removed": image_removed,
    "image-shuffled": image_shuffled,
}


def _blank(picture: Picture) -> Picture:
    return replace(picture, load=partial(_full, picture.grid.shape, _EMPTY.get(picture.modality, 0.0)))


def _full(shape: tuple[int, ...], value: float) -> npt.NDArray:
    return np.full(shape, value, np.float32)


def _other(items: Sequence[Item], place: int) -> Item | None:
    """Return the next item of another patient whose pictures are of the same kinds."""
    mine = items[place]
    kinds = [(p.modality, p.grid.ndim) for p in mine.question.pictures]
    for step in range(1, len(items)):
        other = items[(place + step) % len(items)]
        same_kind = [(p.modality, p.grid.ndim) for p in other.question.pictures] == kinds
        if other.patient != mine.patient and same_kind:
            return other
    return None


def _stretched(picture: Picture, grid: Grid) -> npt.NDArray:
    """The other patient's samples at the own grid's relative places (nearest), whatever the spacing."""
    pixels = picture.load()
    index = [np.arange(n) * m // n for n, m in zip(grid.shape, pixels.shape, strict=True)]
    return pixels[np.ix_(*index)]
