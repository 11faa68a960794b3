"""What may be packed, and that both ways of packing give the numbers of separate rows; nothing leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.geometry import Grid
from radfoundry.model import VLM, Encoded, ImagePart, Pointer, Processor, RegionPart, Turn, VLMConfig, create, nano
from radfoundry.model.looking import Look, look_at
from radfoundry.training.examples import StudyExample
from radfoundry.training.packing import (
    bundles,
    fill,
    in_rows,
    on_trunks,
    packed_losses,
    packed_tokens,
    separate_losses,
)

WORDS = ["Is there a nodule?", "Yes", "No", "Where is the liver?", "In the upper left part.", "Segment the heart."]
SIZE = (8, 16, 16)


def _small(vocabulary: int) -> VLMConfig:
    return nano(vocabulary, SIZE)


@pytest.fixture(scope="module")
def model() -> tuple[VLM, Processor]:
    torch.manual_seed(0)
    network, processor = create(_small, WORDS * 4, 300)
    return network.eval(), processor


def scan(seed: int, config: VLMConfig) -> Look:
    pixels = np.random.default_rng(seed).normal(0, 300, SIZE)
    return look_at(pixels, Grid.axial(SIZE, (4, 2, 2)), "CT", config)


def film(seed: int, config: VLMConfig) -> Look:
    return look_at(np.random.default_rng(seed).integers(0, 255, (20, 30)), Grid.picture((20, 30)), "DX", config)


def say(*parts: object) -> Turn:
    return Turn("user", list(parts))  # type: ignore[arg-type]


def reply(*parts: object) -> Turn:
    return Turn("assistant", list(parts))  # type: ignore[arg-type]


def heart(shape: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[:, 4:12, 4:9] = True
    return mask


def contents(network: VLM, processor: Processor) -> dict[str, StudyExample]:
    """One study of each kind that may be met."""
    ct, dx = scan(0, network.config), film(1, network.config)
    mask = heart(ct.shape)
    one = [ImagePart(0)]

    def study(looks: list[Look], *talks: list[Turn]) -> StudyExample:
        shapes = [look.shape for look in looks]
        return StudyExample(tuple(looks), tuple(processor.encode(talk, shapes) for talk in talks))

    return {
        "turns": study(
            [ct],
            [say(*one, WORDS[0]), reply("Yes"), say("Where?"), reply("In the upper left part.")],
            [say(*one, WORDS[3]), reply("No")],
            [say(*one, WORDS[0]), reply("No"), say("Sure?"), reply("Yes"), say("Really?"), reply("No")],
        ),
        "text alone": study([], [say(WORDS[0]), reply("Yes")], [say(WORDS[3]), reply("In the upper left part.")]),
        "a film and a scan": study(
            [dx, ct], [say(*one, ImagePart(1), "Same?"), reply("No")], [say(*one, ImagePart(1), WORDS[0]), reply("Yes")]
        ),
        "regions": study(
            [ct],
            [say(*one, "What is ", RegionPart(0, mask=mask), "?"), reply("Yes")],
            [say(*one, "What is ", RegionPart(0, box_zyx=(1, 2, 2, 7, 9, 9)), "?"), reply("No")],
            [say(*one, "Is ", RegionPart(name="lung_left"), " clear?"), reply("Yes")],
        ),
        "pointers": study(
            [ct],
            [say(*one, WORDS[5]), reply(Pointer("mask", mask=mask), "Yes")],
            [say(*one, WORDS[3]), reply(Pointer("box", box_zyx=(0, 4, 4, 8, 12, 9)), "In the upper left part.")],
        ),
        "images in their places": study(
            [ct, dx],
            [say("This one ", ImagePart(1), " and that one ", ImagePart(0), "?"), reply("Yes")],
            [say(*one, "Is it?"), reply("No"), say("And ", ImagePart(1), "?"), reply("Yes")],
            [say(*one, "Is there?"), reply("No")],
        ),
        "answers to nothing asked": study(
            [ct], [say(*one), reply("Yes")], [say(*one), reply("In the upper left part.")]
        ),
        "one long, many short": study(
            [ct], [say(*one, WORDS[0] * 8), reply("Yes")], *([say(*one, WORDS[0]), reply("No")] for _ in range(4))
        ),
        "one question": study([ct], [say(*one, WORDS[0]), reply("Yes")]),
    }


NAMES = ["turns", "text alone", "a film and a scan", "regions", "pointers", "images in their places",
         "answers to nothing asked", "one long, many short", "one question"]  # fmt: skip


def gradients(network: VLM, losses: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    network.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", [*NAMES, "all together"])
def test_every_content_gives_the_loss_and_gradients_of_separate_rows(model: tuple[VLM, Processor], name: str) -> None:
    network, processor = model
    known = contents(network, processor)
    studies = list(known.values()) if name == "all together" else [known[name]]
    ours = packed_losses(network, processor, studies)
    mine = gradients(network, ours)
    theirs = separate_losses(network, processor, studies)
    assert ours.keys() == theirs.keys()
    for term in ours:
        assert torch.allclose(ours[term], theirs[term], atol=2e-5), term
    other = gradients(network, theirs)
    assert mine.keys() == other.keys()
    for parameter in mine:
        assert torch.allclose(mine[parameter], other[parameter], atol=1e-4, rtol=1e-3), parameter


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("row_tokens", [1, 120, 4096])
def test_rows_under_a_block_mask_give_the_losses_of_a_trunk(model: tuple[VLM, Processor], row_tokens: int) -> None:
    network, processor = model
    studies = list(contents(network, processor).values())
    images = [look.pixels for study in studies for look in study.looks]
    packed = bundles(studies)
    with torch.no_grad():  # FlexAttention has no backward on a CPU
        rows = in_rows(network, processor, packed, images, "cpu", row_tokens)
        trunks = on_trunks(network, processor, packed, images, "cpu")
    assert rows.keys() == trunks.keys()
    for term in rows:
        assert torch.allclose(rows[term], trunks[term], atol=2e-5), term


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore")
def test_rows_under_a_block_mask_give_the_gradients_of_separate_rows_on_a_gpu(model: tuple[VLM, Processor]) -> None:
    network, processor = model
    network = network.cuda()
    studies = list(contents(network, processor).values())
    mine = gradients(network, packed_losses(network, processor, studies, "cuda"))
    other = gradients(network, separate_losses(network, processor, studies, "cuda"))
    for parameter in mine:
        assert torch.allclose(mine[parameter], other[parameter], atol=1e-3, rtol=1e-2), parameter
    network.cpu()


def silent(one: Encoded) -> Encoded:
    return replace(one, labels=[-100] * len(one.labels), pointers=[])


def test_a_branch_sees_nothing_of_its_neighbours_and_a_study_nothing_of_another(model: tuple[VLM, Processor]) -> None:
    network, processor = model
    known = contents(network, processor)
    mine, other = known["turns"], known["a film and a scan"]
    first, *rest = mine.conversations

    def loss(neighbours: list[Encoded], beside: StudyExample) -> torch.Tensor:
        quiet = StudyExample(beside.looks, tuple(silent(one) for one in beside.conversations))
        study = StudyExample(mine.looks, (first, *(silent(one) for one in neighbours)))
        return packed_losses(network, processor, [study, quiet])["text"]

    alone = loss(rest, other)
    disturbed = []
    for one in rest:
        words = list(one.ids)
        words[one.prefix_length :] = [3 + (i * 7) % 90 for i in range(len(words) - one.prefix_length)]
        disturbed.append(replace(one, ids=words))
    assert torch.allclose(loss(disturbed, other), alone, atol=1e-6)
    looks = tuple(replace(look, pixels=look.pixels * -3 + 1) for look in other.looks)
    assert torch.allclose(loss(rest, StudyExample(looks, other.conversations)), alone, atol=1e-6)
    moved = StudyExample(tuple(replace(look, pixels=look.pixels * -3 + 1) for look in mine.looks), mine.conversations)
    assert not torch.allclose(packed_losses(network, processor, [moved])["text"], alone, atol=1e-4)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_nothing_leaks_in_a_row_either(model: tuple[VLM, Processor]) -> None:
    network, processor = model
    known = contents(network, processor)
    studies = [known["turns"], known["text alone"]]

    def loss(second: StudyExample) -> torch.Tensor:
        quiet = StudyExample(second.looks, tuple(silent(one) for one in second.conversations))
        images = [look.pixels for study in (studies[0], quiet) for look in study.looks]
        with torch.no_grad():
            return in_rows(network, processor, bundles([studies[0], quiet]), images, "cpu")["text"]

    texts = StudyExample((), tuple(replace(one, ids=[i % 60 for i in one.ids]) for one in studies[1].conversations))
    assert torch.allclose(loss(studies[1]), loss(texts), atol=1e-6)


def test_what_is_shared_counts_once(model: tuple[VLM, Processor]) -> None:
    network, processor = model
    study = contents(network, processor)["turns"]
    start = study.conversations[0].prefix_length
    assert packed_tokens(study) == sum(len(one.ids) for one in study.conversations) - 2 * start


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 80))
def test_rows_hold_everything_once_and_no_more_than_they_may(lengths: list[int], most: int) -> None:
    rows = fill(lengths, most)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    for row in rows:
        assert len(row) == 1 or sum(lengths[number] for number in row) <= most
