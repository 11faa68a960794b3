"""Packed and separate are the same training; nothing leaks between branches or studies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from radfoundry.geometry import Grid
from radfoundry.model import VLM, ImagePart, Pointer, Processor, RegionPart, Turn, VLMConfig, create, nano
from radfoundry.model.looking import Look, look_at
from radfoundry.training.examples import StudyExample
from radfoundry.training.packing import packed_losses, separate_losses

WORDS = ["Is there a nodule?", "Yes", "No", "Where is the liver?", "In the upper left part.", "Segment the heart."]


def _small(vocabulary: int) -> VLMConfig:
    return nano(vocabulary, (8, 16, 16))


@pytest.fixture(scope="module")
def model() -> tuple[VLM, Processor]:
    torch.manual_seed(0)
    network, processor = create(_small, WORDS * 4, 300)
    return network.eval(), processor


def _look(seed: int, config: VLMConfig, flat: bool = False) -> Look:
    rng = np.random.default_rng(seed)
    if flat:
        return look_at(rng.integers(0, 255, (20, 30)), Grid.picture((20, 30)), "DX", config)
    return look_at(rng.normal(0, 300, (8, 16, 16)), Grid.axial((8, 16, 16), (4, 2, 2)), "CT", config)


def _study(seed: int, network: VLM, processor: Processor, questions: int, *, flat: bool = False) -> StudyExample:
    rng = np.random.default_rng(seed)
    look = _look(seed, network.config, flat)
    talks = []
    for number in range(questions):
        mask = np.zeros(look.shape, bool)
        mask[:, 4:12, 4 : 6 + number % 8] = True
        answer: list = [WORDS[int(rng.integers(1, 5))]]
        if number % 3 == 0:
            answer.append(Pointer("mask", mask=mask))
        if number % 3 == 1:
            answer.append(Pointer("box", box_zyx=(0, 4, 4, look.shape[0], 12, 8)))
        asked: list = [ImagePart(0)] + ([RegionPart(0, mask=mask)] if number % 2 else []) + [WORDS[number % 6]]
        turns = [Turn("user", asked), Turn("assistant", answer)]
        if number % 4 == 3:
            turns += [Turn("user", ["Where is the liver?"]), Turn("assistant", ["In the upper left part."])]
        talks.append(processor.encode(turns, [look.shape]))
    return StudyExample((look,), tuple(talks))


def _gradients(network: VLM, losses: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    network.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("counts", [(1,), (5,), (3, 7), (4, 1, 6)])
def test_packed_and_separate_give_the_same_loss_and_gradients(model, counts) -> None:
    network, processor = model
    studies = [_study(n, network, processor, count, flat=n == 1) for n, count in enumerate(counts)]
    packed, separate = packed_losses(network, processor, studies), separate_losses(network, processor, studies)
    assert packed.keys() == separate.keys()
    for name in packed:
        assert torch.allclose(packed[name], separate[name], atol=2e-5), name
    ours, theirs = _gradients(network, packed), _gradients(network, separate_losses(network, processor, studies))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.allclose(ours[name], theirs[name], atol=1e-4, rtol=1e-3), name


def test_a_study_does_not_see_another(model) -> None:
    network, processor = model
    first = _study(0, network, processor, 3)
    alone = packed_losses(network, processor, [first])["text"]
    other, changed = _study(5, network, processor, 2), _study(6, network, processor, 2)
    tokens = sum(sum(label != -100 for label in one.labels) for one in first.conversations)

    def share_of_first(beside: StudyExample) -> float:
        own = sum(sum(label != -100 for label in one.labels) for one in beside.conversations)
        both = packed_losses(network, processor, [first, beside])["text"]
        rest = packed_losses(network, processor, [beside])["text"]
        return ((both * (tokens + own) - rest * own) / tokens).item()

    assert share_of_first(other) == pytest.approx(alone.item(), abs=1e-4)
    assert share_of_first(changed) == pytest.approx(alone.item(), abs=1e-4)
