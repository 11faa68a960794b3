"""What is asked of a model and what it answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from radfoundry.model.turns import ImagePart, Part, Turn

__all__ = ["Answer", "Guide", "Question", "pick"]


class Guide(Protocol):
    """Says at each step which tokens may come next: how an answer is held to a grammar or a JSON schema."""

    def allowed(self, ids: Sequence[int]) -> Tensor | None:
        """True for the tokens that may follow the answer's ids so far, `[vocabulary]`; None where all may.

        An end token (one of the processor's `stops`) has to be among them where the answer may end.
        """


@dataclass(frozen=True)
class Question:
    """What is asked: text, or parts with images and given regions; closed questions bring their choices.

    A conversation that names no image has all of the study's in front; one that names some has these, where it names them.
    """

    parts: str | Sequence[Part]
    choices: tuple[str, ...] = ()
    """The answer is one of these: the likeliest, each scored whole."""
    history: tuple[Turn, ...] = ()
    """Earlier turns of this conversation."""
    max_tokens: int = 128
    image: int = 0
    """The image that masks and boxes in the answer speak about."""
    threshold: float | None = None
    """For two choices: the first is answered if its probability is at least this (half, if not set)."""
    temperature: float = 0.0
    """0 takes the likeliest token each time; above, tokens are drawn."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together have this chance."""
    seed: int = 0
    """Of the draws; each question has its own, so that company changes nothing."""
    stop: tuple[str, ...] = ()
    """Texts at which the answer ends; they are no part of it."""
    guide: Guide | None = None
    cancelled: Callable[[], bool] | None = None
    """Asked before each token; once it is true the answer ends as it is."""

    def turns(self) -> tuple[Turn, ...]:
        """The conversation's turns."""
        parts = (self.parts,) if isinstance(self.parts, str) else tuple(self.parts)
        return (*self.history, Turn("user", parts))

    @property
    def empty(self) -> bool:
        """Is nothing asked: no word, no region, no image?"""
        return all(isinstance(part, str) and not part.strip() for part in self.turns()[-1].parts)


def with_images(turns: Sequence[Turn], images: int) -> tuple[Turn, ...]:
    """Turns that name their images as they are; others with all images in front."""
    if any(isinstance(part, ImagePart) for turn in turns for part in turn.parts):
        return tuple(turns)
    leading = [ImagePart(i) for i in range(images)]
    return (Turn(turns[0].role, [*leading, *turns[0].parts]), *turns[1:])


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
    image: int = 0
    """The image that masks and boxes are about."""
    mask_at: tuple[int, ...] = ()
    """Per mask the character of `text` before which the answer pointed."""
    box_at: tuple[int, ...] = ()
    """The same per box."""
    finish: str = "stop"
    """Why it ended: "stop", "length" (of `max_tokens`) or "cancelled"."""
    tokens: int = 0
    """Tokens written, the end token included."""
    prompt_tokens: int = 0
    """Tokens read, images included."""

    @property
    def mask(self) -> NDArray[np.float32] | None:
        """The first mask, if any."""
        return self.masks[0] if self.masks else None

    @property
    def box(self) -> NDArray[np.float32] | None:
        """The first box, if any."""
        return self.boxes[0] if self.boxes else None

    @property
    def abstention(self) -> float:
        """How much speaks for not answering, 0 to 1: the choices' entropy over its largest, or one minus the confidence."""
        chances = list(self.probabilities.values())
        if len(chances) < 2:
            return 1 - self.confidence
        return -sum(p * math.log(p) for p in chances if p > 0) / math.log(len(chances))


def pick(question: Question, scores: Tensor, prompt_tokens: int = 0) -> Answer:
    """The answer among the choices whose log likelihoods are given."""
    chances = scores.softmax(dim=0).tolist()
    best = max(range(len(chances)), key=chances.__getitem__)
    if question.threshold is not None and len(chances) == 2:
        best = 0 if chances[0] >= question.threshold else 1
    probabilities = dict(zip(question.choices, chances, strict=True))
    return Answer(
        question.choices[best], chances[best], probabilities, image=question.image, prompt_tokens=prompt_tokens
    )
