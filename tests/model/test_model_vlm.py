"""The whole model: batches, packing, regions, losses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import SHAPE, tiny

from radfoundry.errors import UsageError
from radfoundry.model import VLM, ImagePart, Pointer, Processor, Queries, RegionPart, Turn
from radfoundry.model.processor import Encoded


def conversations(lesion: np.ndarray) -> list[list[Turn]]:
    box = (2.0, 4.0, 3.0, 5.0, 9.0, 12.0)
    return [
        [Turn("user", [ImagePart(), "Where is the nodule?"]), Turn("assistant", ["here", Pointer("mask", 0, lesion)])],
        [Turn("user", [ImagePart(), "Box?"]), Turn("assistant", [Pointer("box", 0, box_zyx=box)])],
        [Turn("user", [ImagePart(), "What is ", RegionPart(0, lesion), "?"]), Turn("assistant", ["a nodule"])],
        [
            Turn("user", [ImagePart(), "Effusion?"]),
            Turn("assistant", ["no"]),
            Turn("user", ["Sure?"]),
            Turn("assistant", ["yes, sure"]),
        ],
    ]


def test_every_part_of_the_model_gets_a_gradient(
    model: VLM, processor: Processor, volume: torch.Tensor, lesion: np.ndarray
) -> None:
    samples = [processor.encode(turns, [SHAPE]) for turns in conversations(lesion)]
    out = model.train()(processor.collate(samples, [[volume]] * 4))
    assert set(out.losses) == {"text", "mask", "box"}
    out.loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_a_row_of_a_batch_answers_as_it_does_alone(
    model: VLM, processor: Processor, volume: torch.Tensor, lesion: np.ndarray
) -> None:
    samples = [processor.encode(turns, [SHAPE]) for turns in conversations(lesion)]
    together = model(processor.collate(samples, [[volume], [volume * 0.5], [volume * 0.1], [volume]]))
    alone = model(processor.collate([samples[2]], [[volume * 0.1]]))
    n = len(samples[2].ids)
    assert torch.allclose(together.logits[2, :n], alone.logits[0], atol=1e-5)


def packed_losses(
    model: VLM, processor: Processor, samples: list[Encoded], volume: torch.Tensor
) -> dict[str, torch.Tensor]:
    prefix = Encoded(samples[0].ids[: (n := samples[0].prefix_length)], [-100] * n, samples[0].image_at[:1])
    first = processor.collate([prefix], [[volume]])
    rest = processor.collate_shared([sample.branch() for sample in samples], [volume], [[0]] * len(samples))
    seen = model.see([volume], rest.regions)
    _, past = model.language_model.read(model.embed(first.input_ids, first.visual, seen))
    mask = torch.cat([torch.ones(len(samples), n, dtype=torch.long), rest.attention_mask], dim=1)
    rows = torch.zeros(len(samples), dtype=torch.long)
    embeddings = model.embed(rest.input_ids, rest.visual, seen)
    hidden = model.language_model(embeddings, mask, rest.position_ids + n, past.rows(rows))
    return model.losses(hidden, seen, rest.labels, rest.masks, rest.boxes)


def test_a_prefix_read_once_gives_the_losses_and_gradients_of_separate_rows(
    model: VLM, processor: Processor, volume: torch.Tensor, lesion: np.ndarray
) -> None:
    samples = [processor.encode(turns, [SHAPE]) for turns in conversations(lesion)]
    separate = model(processor.collate(samples, [[volume]] * len(samples))).losses
    packed = packed_losses(model, processor, samples, volume)
    gradients = []
    for losses in (separate, packed):
        model.zero_grad()
        sum(losses.values()).backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
    for name, value in separate.items():
        assert torch.allclose(value, packed[name], atol=1e-5), name
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-4), name


def test_many_organs_share_one_decoded_image(model: VLM, volume: torch.Tensor) -> None:
    prompts = torch.randn(20, 24)
    seen = model.see([volume])
    together = model.mask_logits(prompts, torch.zeros(20, dtype=torch.long), seen)
    assert list(seen.maps) == [0]
    alone = model.mask_logits(prompts[7:8], torch.tensor([0]), model.see([volume]))
    assert together[7].shape == SHAPE
    assert torch.allclose(together[7], alone[0], atol=1e-5)


def test_masks_and_boxes_come_back_in_the_order_of_the_queries(model: VLM, volume: torch.Tensor) -> None:
    prompts, image = torch.randn(4, 24), torch.tensor([1, 0, 1, 0])
    seen = model.see([volume, volume[:, :1]])
    masks = model.mask_logits(prompts, image, seen)
    assert [mask.shape[0] for mask in masks] == [1, 8, 1, 8]
    boxes, _ = model.box_coordinates(prompts, image, seen)
    single, _ = model.box_coordinates(prompts[2:3], image[2:3], seen)
    assert torch.allclose(boxes[2], single[0], atol=1e-6)


def test_a_batch_without_labels_has_no_text_loss(model: VLM, processor: Processor, volume: torch.Tensor) -> None:
    sample = processor.encode([Turn("user", [ImagePart(), "Hm"])], [SHAPE])
    assert model(processor.collate([sample], [[volume]])).losses["text"] == 0


def test_a_row_of_text_alone_needs_no_image(model: VLM, processor: Processor) -> None:
    sample = processor.encode([Turn("user", ["Hello"]), Turn("assistant", ["Hello"])], [])
    assert torch.isfinite(model(processor.collate([sample], [[]])).loss)


@pytest.mark.parametrize(("tuning", "trained"), [("frozen", 0), ("lora", 2 * 7 * 2)])
def test_a_language_model_can_stay_frozen_or_get_adapters(processor: Processor, tuning: str, trained: int) -> None:
    config = tiny(processor.vocabulary.size)
    model = VLM(replace(config, language=replace(config.language, tuning=tuning)))
    learning = [p for p in model.language_model.parameters() if p.requires_grad]
    assert len(learning) == trained


def test_a_model_without_a_decoder_says_so(processor: Processor, volume: torch.Tensor) -> None:
    model = VLM(replace(tiny(processor.vocabulary.size), segmentation=None))
    with pytest.raises(UsageError, match="has no masks or boxes"):
        model.mask_logits(torch.randn(1, 24), torch.tensor([0]), model.see([volume]))


def test_an_absent_organ_is_learned_as_an_empty_mask(model: VLM, volume: torch.Tensor) -> None:
    seen = model.see([volume])
    where = Queries(*(torch.zeros(1, dtype=torch.long) for _ in range(3)), targets=[torch.zeros(SHAPE)])
    losses = model.losses(torch.randn(1, 2, 24), seen, torch.full((1, 2), -100), where)
    assert losses["mask"] > 0
