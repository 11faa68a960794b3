"""What is asked of a model and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from radfoundry.model.turns import Part, Turn

__all__ = ["Answer", "Question", "pick"]


@dataclass(frozen=True)
class Question:
    """What is asked: text, or parts with given regions; closed questions bring their choices."""

    parts: str | Sequence[Part]
    choices: tuple[str, ...] = ()
    history: tuple[Turn, ...] = ()
    """Earlier turns of this conversation, after the images."""
    max_tokens: int = 128
    image: int = 0
    """The image that masks and boxes in the answer speak about."""
    threshold: float | None = None
    """For two choices: the first is answered if its probability is at least this (half, if not set)."""

    def turns(self) -> tuple[Turn, ...]:
        """The conversation's turns after the images."""
        parts = (self.parts,) if isinstance(self.parts, str) else tuple(self.parts)
        return (*self.history, Turn("user", parts))


@dataclass(frozen=True)
class Answer:
    """What is answered: text, how sure, and where."""

    text: str
    confidence: float
    """Of a closed question: the choice's probability among the choices; of an open one: the mean chance of a token."""
    probabilities: dict[str, float] = field(default_factory=dict)
    """Per choice of a closed question."""
    masks: tuple[NDArray[np.float32], ...] = ()
    """Probabilities `[z, y, x]` on the view, in the order of the answer's `[SEG]` tokens."""
    boxes: tuple[NDArray[np.float32], ...] = ()
    """Half-open voxel boxes `(z0, y0, x0, z1, y1, x1)` on the view."""

    @property
    def mask(self) -> NDArray[np.float32] | None:
        """The first mask, if any."""
        return self.masks[0] if self.masks else None

    @property
    def box(self) -> NDArray[np.float32] | None:
        """The first box, if any."""
        return self.boxes[0] if self.boxes else None


def pick(question: Question, scores: Tensor) -> Answer:
    """The answer among the choices whose log likelihoods are given."""
    chances = scores.softmax(dim=0).tolist()
    best = max(range(len(chances)), key=chances.__getitem__)
    if question.threshold is not None and len(chances) == 2:
        best = 0 if chances[0] >= question.threshold else 1
    return Answer(question.choices[best], chances[best], dict(zip(question.choices, chances, strict=True)))
