"""Weights on this machine: a study is opened once, its questions are answered together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from radfoundry.errors import RowError
from radfoundry.evaluation.predictors.weights import weights_hash
from radfoundry.model import Answerer, inference, load
from radfoundry.model.conversations import to_model_turns
from radfoundry.model.looking import Look, look_at
from radfoundry.protocols import Answer, Picture, Question
from radfoundry.records import MadeBy

__all__ = ["LocalModel"]

# tokens: a model that has not learned to end would else write every name at the length of a report
_SHORT, _LONG = 32, 192
_SHORT_TASKS = frozenset(
    {"presence", "abnormality", "location", "size", "disorder", "plane", "phase", "organ", "modality", "reg"}
)


class LocalModel:
    """A checkpoint folder as a predictor; boxes and masks come back on the pictures' canonical grids."""

    def __init__(self, folder: Path) -> None:
        model, processor = load(folder)
        self.config = model.config
        self.answerer = Answerer(model, processor)
        self.name = folder.name
        self.made_by = MadeBy("local", "1", weights_hash(folder), folder.name)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer in order; questions that follow each other about the same `Picture`s share one encoding."""
        out: list[Answer] = []
        for _, group in groupby(questions, key=lambda q: [id(p) for p in q.pictures]):
            out += self._study(list(group))
        return out

    def _study(self, questions: list[Question]) -> list[Answer]:
        began = time.perf_counter()
        try:
            looks = [self.look(picture) for picture in questions[0].pictures]
        except RowError as error:
            return [Answer("", error=f"{error.what}: {error.why}")] * len(questions)
        study = self.answerer.open([look.pixels for look in looks])
        found: dict[int, inference.Answer] = {}
        for kind, places in _by_kind(questions).items():
            asked = [_to_model(questions[k], looks) for k in places]
            told = (
                self.answerer.locate(study, asked, kind) if kind in ("mask", "box") else self.answerer.ask(study, asked)
            )
            found |= dict(zip(places, told, strict=True))
        each = (time.perf_counter() - began) / len(questions)
        return [_from_model(found[k], looks, each) for k in range(len(questions))]

    def look(self, picture: Picture) -> Look:
        """Return the model's look at a picture."""
        return look_at(np.asarray(picture.load()), picture.grid, picture.modality, self.config)


def _by_kind(questions: list[Question]) -> dict[str, list[int]]:
    """Places of the questions that want a mask, a box, or words."""
    kinds: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        kinds.setdefault(question.answer_kind if question.answer_kind in ("mask", "box") else "words", []).append(place)
    return kinds


def _to_model(question: Question, looks: list[Look]) -> inference.Question:
    turns = to_model_turns(question.turns, [p.image_id for p in question.pictures], looks, question.regions)
    *history, last = turns
    limit = _SHORT if question.task in _SHORT_TASKS else _LONG
    return inference.Question(last.parts, choices=_choices(question), history=tuple(history), max_tokens=limit)


def _choices(question: Question) -> tuple[str, ...]:
    """Closed questions are answered in the words that answers are written in."""
    return tuple(c.capitalize() for c in question.choices) if question.answer_kind == "closed" else question.choices


def _from_model(answer: inference.Answer, looks: list[Look], seconds: float) -> Answer:
    box = looks[0].box_back(answer.box) if answer.box is not None else None
    mask = looks[0].mask_back(answer.mask) if answer.mask is not None else None
    return Answer(
        answer.text, answer.confidence, boxes=(box,) if box is not None else (), mask=mask, seconds=round(seconds, 6)
    )
