"""A model that reads the question and never looks: what the words of the training questions say about their answers.

Multinomial naive Bayes over words and pairs of words, one model for each kind of answer and set of choices. It trains in a second and is
no weaker a control for that: on questions whose answer stands in their wording it is hard to beat.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from radfoundry.evaluation.tasks import Item
from radfoundry.protocols import Answer, Question
from radfoundry.records import MadeBy

__all__ = ["TextOnly"]

_SMOOTHING = 0.1
_WORD = re.compile(r"[a-z]+|\d+")
_MOST_ANSWERS = 2000  # of one kind of question: reports, each its own answer, would fill the memory
_Kind = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class TextOnly:
    """Answers as training questions in the same words were answered; it has no boxes and no masks."""

    models: dict[_Kind, _NaiveBayes]
    name: str = "text-only"
    made_by: MadeBy = field(default=MadeBy("text-only", "1", by="naive Bayes over question words"))
    kinds: frozenset[str] = frozenset({"open", "closed", "choice"})
    looks: bool = False

    @classmethod
    def of(cls, items: Iterable[Item], name: str = "text-only") -> TextOnly:
        """Learn from training items."""
        pairs: dict[_Kind, list[tuple[str, str]]] = defaultdict(list)
        for item in items:
            if item.question.answer_kind in ("open", "closed", "choice"):
                for kind in _kinds_of(item.question):
                    pairs[kind].append((_asked(item.question), item.reference.text))
        return cls({kind: _NaiveBayes.of(rows) for kind, rows in pairs.items()}, name)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the likeliest answer to each question's words."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        model = next((self.models[k] for k in _kinds_of(question) if k in self.models), None)
        if model is None:
            return Answer("", error="nothing learned: no training question of this kind")
        text, sure = model.best(_asked(question))
        return Answer(text, sure)


def _kinds_of(question: Question) -> list[_Kind]:
    """From the particular to the general: the same choices, the same kind of answer."""
    return [(question.answer_kind, tuple(sorted(question.choices))), (question.answer_kind, ("*",))]


def _asked(question: Question) -> str:
    return question.turns[-1].text


@dataclass(frozen=True)
class _NaiveBayes:
    answers: list[str]
    vocabulary: dict[str, int]
    prior: npt.NDArray[np.float64]
    likelihood: npt.NDArray[np.float64]  # [answers, words], logarithms

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> _NaiveBayes:
        """Count words by answer; of very many answers the commonest are kept, first seen first."""
        spelling: dict[str, str] = {}
        counts: dict[str, int] = defaultdict(int)
        for _, answer in pairs:
            counts[spelling.setdefault(_folded(answer), answer)] += 1
        answers = sorted(counts, key=lambda a: -counts[a])[:_MOST_ANSWERS]
        place = {answer: at for at, answer in enumerate(answers)}
        vocabulary: dict[str, int] = {}
        rows, columns = [], []
        for question, answer in pairs:
            at = place.get(spelling[_folded(answer)])
            for feature in _features(question) if at is not None else ():
                rows.append(at)
                columns.append(vocabulary.setdefault(feature, len(vocabulary)))
        shape = (len(answers), max(len(vocabulary), 1))
        table = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).toarray() + _SMOOTHING
        prior = np.log([counts[answer] for answer in answers]) - np.log(len(pairs))
        return cls(answers, vocabulary, prior, np.log(table) - np.log(table.sum(1, keepdims=True)))

    def best(self, question: str) -> tuple[str, float]:
        """Return the likeliest answer and its share of the probability."""
        known = [self.vocabulary[f] for f in _features(question) if f in self.vocabulary]
        logs = self.prior + self.likelihood[:, known].sum(1)
        likely = np.exp(logs - logs.max())
        return self.answers[int(logs.argmax())], float(likely.max() / likely.sum())


def _folded(text: str) -> str:
    return text.lower().strip(" .")


def _features(question: str) -> list[str]:
    words = _WORD.findall(question.lower())
    return [*words, *(f"{a} {b}" for a, b in zip(["^", *words], [*words, "$"], strict=True))]
