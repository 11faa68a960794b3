"""Masks, boxes, things: what the light decoder finds and what its losses say."""

from __future__ import annotations

import pytest
import torch
from tiny_model import SHAPE, TEXTS, tiny

from radfoundry.model import VLM, ImagePart, Pointer, Processor, RegionPart, Turn, create
from radfoundry.model.segmentation import PixelMaps, box_losses, mask_losses


@pytest.fixture(scope="module")
def knowing() -> tuple[VLM, Processor]:
    """A model whose decoder knows two names."""
    torch.manual_seed(0)
    model, processor = create(tiny, TEXTS, names=("heart", "liver"))
    return model.eval(), processor


def test_a_perfect_mask_costs_next_to_nothing_and_an_inverted_one_much() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    truth[0, 1:3, 2:5, 2:6] = 1
    logits = (truth * 2 - 1) * 12
    assert mask_losses(logits, truth).item() < 1e-3
    assert mask_losses(-logits, truth).item() > 5


def test_a_small_lesion_that_is_missed_costs_much_more_than_its_share_of_voxels() -> None:
    truth = torch.zeros(1, 16, 16, 16)
    truth[0, 3:5, 3:5, 3:5] = 1
    nothing = torch.full_like(truth, -6)
    assert mask_losses(nothing, truth).item() > 1


def test_an_absent_thing_has_no_dice_term() -> None:
    empty = torch.zeros(1, 4, 4, 4)
    assert mask_losses(empty - 10, empty).item() < 1e-3


def test_the_loss_of_a_box_is_least_for_the_mask_that_fills_it() -> None:
    box = torch.tensor([[0.25, 0.25, 0.5, 0.75, 0.5, 1.0]])
    inside = torch.full((1, 8, 8, 8), -12.0)
    inside[0, 2:6, 2:4, 4:8] = 12
    moved = inside.roll(1, dims=3)
    assert box_losses(inside, box).item() < 1e-3
    assert box_losses(moved, box) > box_losses(inside, box) + 0.05


def test_a_box_goes_around_the_largest_piece_of_its_mask_and_is_there_even_if_the_mask_is_empty(
    knowing: tuple[VLM, Processor], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = knowing[0].decoder
    logits = torch.full((2, 4, 8, 8), -5.0)
    logits[0, 1:3, 2:5, 4:8] = 3
    logits[0, 0, 0, 0] = 3
    logits[1, 3, 7, 7] = -1
    monkeypatch.setattr(decoder, "masks", lambda maps, prompts: logits)
    boxes = decoder.boxes(None, torch.zeros(2, 1))
    assert boxes[0].tolist() == pytest.approx([1 / 4, 2 / 8, 4 / 8, 3 / 4, 5 / 8, 1])
    assert boxes[1].tolist() == pytest.approx([3 / 4, 7 / 8, 7 / 8, 1, 1, 1])


def test_every_thing_has_a_token_and_the_image_as_many_tokens_as_the_processor_counts(
    knowing: tuple[VLM, Processor],
) -> None:
    model, processor = knowing
    seen = model.see([torch.randn(1, *SHAPE), torch.randn(1, 1, 16, 16)])
    assert len(seen.table) == processor.image_tokens(SHAPE) + processor.image_tokens((1, 16, 16))


def test_a_model_without_names_has_no_things_and_still_points() -> None:
    torch.manual_seed(0)
    model, processor = create(tiny, TEXTS)
    assert not model.names_things
    turns = [Turn("user", [ImagePart(0), "Where?"]), Turn("assistant", [Pointer("box", box_zyx=(0, 0, 0, 4, 8, 8))])]
    inputs = processor.collate([processor.encode(turns, [SHAPE])], [[torch.randn(1, *SHAPE)]])
    assert model(inputs).losses["box"].isfinite()


def test_masks_boxes_and_given_regions_have_gradients_down_to_the_convolutions(knowing: tuple[VLM, Processor]) -> None:
    model, processor = knowing
    truth = torch.zeros(SHAPE)
    truth[2:4, 4:8, 4:8] = 1
    turns = [
        Turn("user", [ImagePart(0), RegionPart(0, mask=truth.numpy() > 0), "Where?"]),
        Turn("assistant", [Pointer("mask", mask=truth.numpy() > 0), Pointer("box", box_zyx=(2, 4, 4, 4, 8, 8))]),
    ]
    inputs = processor.collate([processor.encode(turns, [SHAPE])], [[torch.randn(1, *SHAPE)]])
    model.train()
    sum(model(inputs).losses.values()).backward()
    model.eval()
    for weight in (
        model.vision.embedding.levels[0][0][0].weight,
        model.decoder.kernel[1].weight,
        model.decoder.tokens.mix[0].weight,
    ):
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0
    model.zero_grad()


def test_choosing_a_thing_raises_the_logits_of_its_voxels_alone(knowing: tuple[VLM, Processor]) -> None:
    model, _ = knowing
    (glance,) = model.glance(torch.randn(1, 1, *SHAPE))
    maps = glance.maps
    assert isinstance(maps, PixelMaps)
    labels = torch.zeros(SHAPE, dtype=torch.long)
    labels[:4] = 1
    chosen = torch.zeros(1, 1 + model.config.segmentation.things)
    chosen[0, 1] = 5
    prompt = torch.randn(1, model.config.language.width)
    plain = model.decoder._logits(maps.fine, labels, torch.zeros_like(chosen), prompt)
    raised = model.decoder._logits(maps.fine, labels, chosen, prompt)
    assert torch.allclose(raised[0, :4], plain[0, :4] + 5, atol=1e-4)
    assert torch.equal(raised[0, 4:], plain[0, 4:])
