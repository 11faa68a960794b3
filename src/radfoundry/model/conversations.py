"""A corpus's turns as the processor's: which image, which region, and what an answer points at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from radfoundry import records
from radfoundry.geometry import Box
from radfoundry.model.looking import Look
from radfoundry.model.processor import ImagePart, Part, Pointer, RegionPart, Turn

__all__ = ["pointing_answer", "to_model_turns"]


def to_model_turns(
    turns: Sequence[records.Turn],
    image_ids: Sequence[str],
    looks: Sequence[Look],
    regions: Mapping[str, npt.NDArray[np.bool_]],
) -> list[Turn]:
    """Return turns whose images are numbers into `looks`, and whose regions are masks on the first image's view."""
    place = {image_id: k for k, image_id in enumerate(image_ids)}
    return [Turn(turn.role, [_part(part, place, looks, regions) for part in turn.parts]) for turn in turns]


def _part(
    part: records.Part,
    place: Mapping[str, int],
    looks: Sequence[Look],
    regions: Mapping[str, npt.NDArray[np.bool_]],
) -> Part:
    if part.kind == "image":
        return ImagePart(place[part.ref])
    if part.kind == "region":
        return RegionPart(0, mask=looks[0].mask(regions[part.ref]))
    return part.text


def pointing_answer(turn: Turn, kind: str, look: Look, mask: npt.NDArray | None, box: Sequence[int] | None) -> Turn:
    """Return an answer that begins by pointing: at `mask` for a mask question, at `box` for a box question.

    The pointer comes before the words, so that a place can be asked for without writing any (`Answerer.locate`). Mask and box are on
    the canonical grid of the first image. An answer of another kind stays as it is.
    """
    if kind == "mask" and mask is not None:
        return Turn(turn.role, [Pointer("mask", mask=look.mask(mask)), *turn.parts])
    if kind == "box" and box is not None:
        seen = look.box(Box.from_flat(box))
        if seen is not None:
            a, b, c, d, e, f = (float(v) for v in seen)
            return Turn(turn.role, [Pointer("box", box_zyx=(a, b, c, d, e, f)), *turn.parts])
    return turn
