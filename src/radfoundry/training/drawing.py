"""Which studies a step learns from: a function of (seed, step), so that a resumed run and any number of processes draw the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from radfoundry.records import Sample
from radfoundry.training.augmentation import augmented
from radfoundry.training.distributed import Ranks

__all__ = ["Data", "Drawer", "balanced", "seed_of"]

_AHEAD = 2  # steps that are prepared while a GPU works


class Data(Protocol):
    """Studies in a fixed order."""

    def __len__(self) -> int: ...

    def example(self, number: int, questions: int, rng: np.random.Generator) -> Any:
        """Return study `number` with up to `questions` of its samples, drawn with `rng`."""


class Drawer:
    """Draws each step's studies: an epoch is one permutation of `numbers`, which may name a study more than once."""

    def __init__(
        self,
        data: Data,
        numbers: Sequence[int],
        *,
        studies: int,
        questions: int,
        augment: float,
        seed: int,
        ranks: Ranks,
    ) -> None:
        self._data, self._numbers, self._ranks = data, np.asarray(numbers), ranks
        self._studies, self._questions, self._augment, self._seed = studies, questions, augment, seed
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, int))
        self._pool = ThreadPoolExecutor(1) if ranks.device.type == "cuda" else None
        self._coming: dict[int, Future[list[Any]]] = {}

    def studies(self, step: int) -> list[Any]:
        """Return this process's part of a step; on a GPU the next ones are prepared meanwhile."""
        if self._pool is None:
            return self._draw(step)
        for number in range(step, step + 1 + _AHEAD):
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._draw, number)
        return self._coming.pop(step).result()

    def close(self) -> None:
        """Stop preparing."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _draw(self, step: int) -> list[Any]:
        places = range(step * self._studies, (step + 1) * self._studies)
        return [self._example(place) for place in self._ranks.part(places)]

    def _example(self, place: int) -> Any:
        epoch, within = divmod(place, len(self._numbers))
        if self._order[0] != epoch:
            rng = np.random.default_rng([self._seed, 1 << 20, epoch])
            self._order = (epoch, rng.permutation(self._numbers))
        rng = np.random.default_rng([self._seed, place])
        example = self._data.example(int(self._order[1][within]), self._questions, rng)
        return augmented(example, self._augment, rng) if self._augment else example


def balanced(groups: Sequence[Sequence[Sample]]) -> list[int]:
    """Return the numbers of the studies, those with rarer answers to their closed questions more than once.

    A study counts as often as its answers are rarer than the commonest answer to the same question, in the mean over its questions.
    """
    closed = [[(s.turns[0].text, s.turns[-1].text) for s in group if s.answer_kind == "closed"] for group in groups]
    given = Counter(pair for pairs in closed for pair in pairs)
    commonest: dict[str, int] = {}
    for (question, _), count in given.items():
        commonest[question] = max(commonest.get(question, 0), count)
    numbers = []
    for number, pairs in enumerate(closed):
        times = np.mean([commonest[question] / given[question, answer] for question, answer in pairs]) if pairs else 1
        numbers += [number] * max(1, round(float(times)))
    return numbers


def seed_of(seed: int, step: int) -> int:
    """Return the seed of torch's own draws (dropout, voxels of a mask loss) in a step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
