"""A question for a model that sees pictures and writes text: which pictures, which words, and how its text becomes an answer.

A volume is shown as a montage: 16 axial slices, evenly spaced from the top of the body to its bottom, four in a row, read like a page,
each as a radiologist hangs it (the patient's right on the left of each tile) in the window of its modality. Boxes are asked for, and
read, as shares of the axis lengths: [z0, y0, x0, z1, y1, x1] from 0 to 1, z from feet to head. Masks cannot be said in text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from radfoundry.geometry import Box
from radfoundry.metrics import parse_box
from radfoundry.protocols import Answer, Picture, Question
from radfoundry.records import Part
from radfoundry.viewing import window

__all__ = ["TextAnswer", "montage", "read_answer", "shown", "words_of"]

SLICES, COLUMNS = 16, 4
_LONGEST_SIDE = 1024

_HOW = {
    "closed": "Answer with yes or no.",
    "choice": "Answer with the letter of the right choice.",
    "box2": "Answer with one box as [y0, x0, y1, x1], each a share of the picture's height or width from 0 to 1.",
    "box3": "Answer with one box as [z0, y0, x0, z1, y1, x1], each a share of the axis from 0 to 1: z from feet to head, "
    "y from front to back, x from the patient's right to left.",
}
_TILES = "The picture shows axial slices of one volume from head to feet, row by row; the patient's right is on the left of each."


@dataclass(frozen=True)
class TextAnswer(Answer):
    """An answer with the words that were sent for it and the tokens it cost."""

    sent: str = ""
    tokens: tuple[int, ...] = field(default=())


def shown(picture: Picture) -> Image.Image:
    """Return a picture as it is shown: grey as colour, a volume as its montage, at most 1,024 pixels a side."""
    grey = window(np.asarray(picture.load()), picture.modality)
    image = Image.fromarray(grey if grey.ndim == 2 else montage(grey, picture.grid.spacing)).convert("RGB")
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    return image


def montage(grey: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Return slices of a canonical volume `[z, y, x]` as one picture: z falls along the page; fewer slices give fewer tiles."""
    count = min(SLICES, grey.shape[0])
    places = np.rint((np.arange(count) + 0.5) * grey.shape[0] / count - 0.5).astype(int)[::-1]
    tiles = [_square_pixels(grey[z], spacing[1:]) for z in places]
    columns = min(COLUMNS, count)
    tiles += [np.zeros_like(tiles[0])] * (-count % columns)
    return np.concatenate([np.concatenate(tiles[at : at + columns], axis=1) for at in range(0, len(tiles), columns)])


def _square_pixels(slice_yx: np.ndarray, spacing_yx: tuple[float, ...]) -> np.ndarray:
    """A slice at one spacing along both axes, at most 256 pixels a side."""
    extent = np.multiply(slice_yx.shape, spacing_yx)
    height, width = np.maximum(np.rint(extent * min(256 / extent.max(), 1 / min(spacing_yx))), 1).astype(int)
    return np.asarray(Image.fromarray(slice_yx).resize((int(width), int(height)), Image.Resampling.BILINEAR))


def words_of(question: Question) -> list[list[Part]]:
    """Return the parts of each turn, a given region told as its box, the last turn ending with how to answer."""
    turns = [[_told(question, part) for part in turn.parts] for turn in question.turns]
    how = _how(question)
    if turns and how:
        turns[-1] = [*turns[-1], Part("text", how)]
    return turns


def _told(question: Question, part: Part) -> Part:
    if part.kind != "region":
        return part
    mask = question.regions.get(part.ref)
    box = Box.of_mask(np.asarray(mask)) if mask is not None else None
    if box is None or mask is None:
        return Part("text", "(The region that is meant is empty.)")
    shares = np.asarray(box.flat) / np.asarray(mask.shape * 2)
    return Part("text", f"The region that is meant lies in the box [{', '.join(f'{share:.3f}' for share in shares)}].")


def _how(question: Question) -> str:
    axes = [p.grid.ndim for p in question.pictures]
    said = [_TILES] if 3 in axes else []
    kind = question.answer_kind
    if kind == "choice":
        said.append("Choices: " + " ".join(f"{chr(ord('A') + at)}. {text}" for at, text in enumerate(question.choices)))
    if kind == "box" and axes:
        kind = f"box{axes[0]}"
    if kind in _HOW:
        said.append(_HOW[kind])
    return " ".join(said)


def read_answer(question: Question, text: str, seconds: float, sent: str, tokens: tuple[int, ...] = ()) -> TextAnswer:
    """Return the answer that a text is: boxes read out of it strictly; a mask is an error."""
    boxes: tuple[Box, ...] = ()
    error = ""
    if question.answer_kind == "mask":
        error = "no mask: this model answers in words alone"
    if question.answer_kind == "box" and question.pictures:
        shape = question.pictures[0].grid.shape
        shares = parse_box(text, 2 * len(shape))
        corners = None if shares is None else np.rint(np.clip(shares, 0, 1) * np.asarray(shape * 2)).astype(int)
        if corners is not None and (corners[: len(shape)] <= corners[len(shape) :]).all():
            boxes = (Box.from_flat(corners),)
    return TextAnswer(text, boxes=boxes, seconds=seconds, error=error, sent=sent, tokens=tokens)
