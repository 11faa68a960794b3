"""The small parts of the loop: the rate's course, who is drawn how often, what layers cost."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from radfoundry.records import MadeBy, Part, Sample, Turn
from radfoundry.training.distributed import Ranks
from radfoundry.training.drawing import Drawer, balanced, seed_of
from radfoundry.training.flops import FlopCounter
from radfoundry.training.schedule import rate_at


def test_the_rate_rises_as_a_line_and_falls_as_a_cosine() -> None:
    course = [rate_at(done, warmup=0.2, first=0.1, last=0.3) for done in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert course == pytest.approx([0.1, 0.55, 1.0, 0.65, 0.3])


def test_the_rate_never_jumps() -> None:
    course = [rate_at(done, warmup=0.05, last=0.1) for done in np.linspace(0, 1, 401)]
    assert max(abs(a - b) for a, b in pairwise(course)) < 0.06


def _closed(answer: str, question: str = "Is there pneumonia?") -> Sample:
    turns = (Turn("user", (Part("text", question),)), Turn("assistant", (Part("text", answer),)))
    return Sample(
        "s", "sty", ("img",), "presence", turns, "closed", ("yes", "no"), (), (), (), "train", "", MadeBy("a", "1")
    )


def test_rare_answers_are_drawn_as_often_as_common_ones() -> None:
    groups = [[_closed("Yes")]] * 18 + [[_closed("No")]] * 2
    drawn = Counter("Yes" if number < 18 else "No" for number in balanced(groups))
    assert drawn == {"Yes": 18, "No": 18}


def test_a_study_without_closed_questions_is_drawn_once() -> None:
    assert balanced([[_closed("Yes")], []]) == [0, 1]


class Numbers:
    def __len__(self) -> int:
        return 5

    def example(self, number: int, questions: int, rng: np.random.Generator) -> tuple[int, int]:
        return number, int(rng.integers(1000))


def _drawer(ranks: Ranks) -> Drawer:
    return Drawer(Numbers(), range(5), studies=4, questions=1, augment=0.0, seed=3, ranks=ranks)


def test_an_epoch_draws_every_study_once_and_processes_share_its_steps() -> None:
    alone = _drawer(Ranks(torch.device("cpu")))
    drawn = [study for step in range(5) for study in alone.studies(step)]
    assert all(sorted(number for number, _ in drawn[i : i + 5]) == [0, 1, 2, 3, 4] for i in (0, 5, 10, 15))
    two = [_drawer(Ranks(torch.device("cpu"), rank, 2)).studies(3) for rank in range(2)]
    assert [two[0][0], two[1][0], two[0][1], two[1][1]] == alone.studies(3)


def test_every_step_has_draws_of_its_own() -> None:
    assert len({seed_of(0, step) for step in range(100)}) == 100
    assert seed_of(1, 5) == seed_of(1, 5)


def test_operations_are_two_a_weight_and_value_forward_and_four_backward() -> None:
    layers = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 4))
    counter = FlopCounter(layers)
    with counter.counting():
        layers(torch.randn(10, 8))
    forward = 2 * 10 * np.array([8 * 16, 16 * 4])
    assert counter.take() == (forward * [2, 3]).sum()  # nobody wants the gradient of the input
    layers[0].requires_grad_(False)
    with counter.counting(), torch.no_grad():
        layers(torch.randn(10, 8))
    assert counter.take() == forward.sum()
    layers(torch.randn(10, 8))
    assert counter.take() == 0


def test_a_convolutions_operations_are_counted() -> None:
    conv = nn.Conv3d(3, 5, 3, padding=1).requires_grad_(False)
    counter = FlopCounter(conv)
    with counter.counting():
        conv(torch.randn(2, 3, 4, 4, 4))
    assert counter.take() == 2 * 2 * 5 * 64 * 3 * 27
