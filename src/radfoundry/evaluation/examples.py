"""Answers drawn while they are there: a mask is not in the log, so the first questions of each group get a picture."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from radfoundry.errors import RowError
from radfoundry.evaluation.tasks import Item
from radfoundry.geometry import Box
from radfoundry.protocols import Answer
from radfoundry.viewing import NamedBox, draw_study

__all__ = ["Examples"]

_NAMES = {1: "truth alone", 2: "answer alone", 3: "truth and answer"}


class Examples:
    """Draws the answers to the first `most` questions of each group into `folder/examples`."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder / "examples", most
        self._drawn: Counter[str] = Counter()

    def draw(self, item: Item, answer: Answer) -> str:
        """Return the picture's name below the run folder, "" where none was drawn."""
        group = item.group or item.question.task
        if not item.question.pictures or self._drawn[group] >= self.most:
            return ""
        self._drawn[group] += 1
        try:
            picture = _picture(item, answer)
        except RowError:
            return ""
        self.folder.mkdir(exist_ok=True)
        # ids of suites come from files: a hash of one is a safe file name
        name = f"{hashlib.blake2b(item.question.sample_id.encode(), digest_size=8).hexdigest()}.png"
        picture.save(self.folder / name)
        return f"examples/{name}"


def _picture(item: Item, answer: Answer) -> Image.Image:
    shown = item.question.pictures[0]
    pixels = np.asarray(shown.load())
    labels = _labels(item, answer)
    boxes = [*_boxes("truth", item.reference.boxes, shown.grid.ndim)]
    boxes += _boxes("answer", [box.flat for box in answer.boxes], shown.grid.ndim)
    given = None if labels is not None else next(iter(item.question.regions.values()), None)
    if given is not None:
        return draw_study(pixels, shown.grid, given.astype(np.uint8), {1: "asked about"}, modality=shown.modality)
    return draw_study(pixels, shown.grid, labels, _NAMES, boxes, modality=shown.modality)


def _labels(item: Item, answer: Answer) -> npt.NDArray[np.uint8] | None:
    if item.reference.mask is None:
        return None
    labels = np.asarray(item.reference.mask()).astype(np.uint8)
    if answer.mask is not None and answer.mask.shape == labels.shape:
        labels += 2 * answer.mask.astype(np.uint8)
    return labels


def _boxes(name: str, flat: Sequence[Sequence[int]], axes: int) -> list[NamedBox]:
    return [NamedBox(name, Box.from_flat(box)) for box in flat if len(box) == 2 * axes]
