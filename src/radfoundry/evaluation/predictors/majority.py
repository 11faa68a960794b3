"""The predictor that never looks: the commonest answer, the mean box, the atlas mask, the median size."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from radfoundry import anatomy
from radfoundry.evaluation.tasks import Item
from radfoundry.geometry import Box
from radfoundry.metrics import parse_size_mm
from radfoundry.protocols import Answer, Question
from radfoundry.records import MadeBy

__all__ = ["Majority"]

Key = tuple[str, str]
_ATLAS = 32  # samples along each axis of an atlas
_MASKS = 64  # training masks that an atlas is made of


@dataclass(frozen=True)
class Majority:
    """Answers each kind of question as the training items most often were.

    Boxes are the mean of the relative boxes; masks are where at least half of the training masks were, at their relative places.

    Questions about different things are told apart, so that the liver has its own mean box, and so are yes/no questions from open ones.
    A size is the median of the sizes that training answers state.
    """

    texts: dict[Key, str]
    boxes: dict[Key, tuple[float, ...]]
    masks: dict[Key, npt.NDArray[np.bool_]] = field(default_factory=dict)
    name: str = "majority"
    made_by: MadeBy = field(default=MadeBy("majority", "2"))
    looks: bool = False

    @classmethod
    def of(cls, items: Iterable[Item]) -> Majority:
        """Count the answers of training items."""
        texts: dict[Key, Counter[str]] = defaultdict(Counter)
        sizes: dict[Key, list[float]] = defaultdict(list)
        boxes: dict[Key, list[list[float]]] = defaultdict(list)
        masks: dict[Key, list[npt.NDArray[np.bool_]]] = defaultdict(list)
        for item in items:
            for key in _keys(item.question):
                texts[key][item.reference.text] += 1
                if item.question.task == "size" and (size := parse_size_mm(item.reference.text)) is not None:
                    sizes[key].append(size)
                if item.reference.boxes:
                    boxes[key].append(_relative(item.reference.boxes[0], item.question))
            words = _keys(item.question)[0]
            if item.reference.mask is not None and len(masks[words]) < _MASKS:
                masks[words].append(_stretched(item.reference.mask(), (_ATLAS,) * item.question.pictures[0].grid.ndim))
        return cls(
            {key: min(counts, key=lambda t: (-counts[t], t)) for key, counts in texts.items()}
            | {key: f"{np.median(known):g} mm" for key, known in sizes.items()},
            {key: tuple(np.mean(rows, axis=0)) for key, rows in boxes.items()},
            {key: np.mean(several, axis=0) >= 0.5 for key, several in masks.items() if several},
        )

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the same answer to the same kind of question, whatever the picture."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        keys = _keys(question)
        text = next((self.texts[k] for k in keys if k in self.texts), question.choices[0] if question.choices else "")
        if question.answer_kind == "mask" and keys[0] in self.masks:
            return Answer(text, mask=_stretched(self.masks[keys[0]], question.pictures[0].grid.shape))
        box = next((self.boxes[k] for k in keys if k in self.boxes), None)
        if box is None or question.answer_kind != "box":
            return Answer(text)
        shape = np.asarray(question.pictures[0].grid.shape * 2)
        return Answer(text, boxes=(Box.from_flat(np.rint(np.asarray(box) * shape)),))


def _keys(question: Question) -> list[Key]:
    """From the particular to the general: this thing, this task. Boxes and masks of pictures and volumes cannot be mixed."""
    kind = f"{question.task}/{question.answer_kind}"
    if question.answer_kind in ("box", "mask"):
        kind += f"/{question.pictures[0].grid.ndim}"
    return [(kind, _thing(question.turns[-1].text)), (kind, "")]


@lru_cache(maxsize=65536)
def _thing(text: str) -> str:
    """Return the longest known name in a question, so that "the heart" has one mean box in every wording; else its words."""
    words = re.findall(r"[a-z0-9()-]+", text.lower())
    for length in range(min(6, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            name = " ".join(words[start : start + length])
            if anatomy.is_known(name):
                return anatomy.region(name).name
    return text


def _relative(box: tuple[int, ...], question: Question) -> list[float]:
    return list(np.asarray(box, float) / np.asarray(question.pictures[0].grid.shape * 2))


def _stretched(mask: npt.NDArray, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """The mask's samples at the relative places of another shape (nearest)."""
    return mask[np.ix_(*[np.arange(n) * m // n for n, m in zip(shape, mask.shape, strict=True)])]
