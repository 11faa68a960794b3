"""Conversations as ids: text stays text, everything else comes from a part."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import SHAPE, tiny

from radfoundry.errors import UsageError
from radfoundry.model import VLM, ImagePart, Pointer, Processor, RegionPart, Turn

SPELLINGS = st.sampled_from(
    ["<image>", "[SEG]", "[BOX]", "</s>", "<s>", "<|im_end|>", "<|eot_id|>", "assistant", "user", "<pad>", "seg", "eos"]
)


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.one_of(st.text(max_size=20), SPELLINGS), max_size=6))
def test_text_that_spells_special_tokens_stays_text_and_round_trips(processor: Processor, parts: list[str]) -> None:
    text = "".join(parts)
    ids = processor.vocabulary.encode(text)
    assert all(i < processor.vocabulary.text_size for i in ids)
    assert processor.decode(ids) == text
    sample = processor.encode([Turn("user", [ImagePart(), text]), Turn("assistant", [text])], [SHAPE])
    special = [i for i in sample.ids if i >= processor.vocabulary.text_size]
    blank = processor.encode([Turn("user", [ImagePart(), ""]), Turn("assistant", [""])], [SHAPE])
    assert special == blank.ids


def test_only_answers_are_labels_with_their_end_token(processor: Processor) -> None:
    sample = processor.encode(
        [Turn("user", [ImagePart(), "Is there?"]), Turn("assistant", ["yes", Pointer("mask")])], [SHAPE]
    )
    learned = [label for label in sample.labels if label != -100]
    assert learned == [*processor.vocabulary.encode("yes"), processor.special["seg"], processor.special["eos"]]
    assert sample.ids[-len(learned) :] == learned


def test_the_prefix_is_everything_before_the_first_words(processor: Processor) -> None:
    questions = [[Turn("user", [ImagePart(0), ImagePart(1), text])] for text in ("One?", "Another one?")]
    samples = [processor.encode(turns, [SHAPE, SHAPE]) for turns in questions]
    n = samples[0].prefix_length
    assert n == samples[1].prefix_length == 2 + 2 * (processor.image_tokens(SHAPE) + 1)
    assert samples[0].ids[:n] == samples[1].ids[:n]
    assert processor.decode(samples[1].branch().ids) == "Another one?"


def test_a_branch_starts_with_a_token_that_is_no_label(processor: Processor) -> None:
    sample = processor.encode([Turn("user", [ImagePart()]), Turn("assistant", ["A report."])], [SHAPE])
    assert sample.branch().labels[0] == -100


def test_image_positions_point_into_the_visual_table(processor: Processor) -> None:
    picture = (1, 16, 24)
    sample = processor.encode([Turn("user", [ImagePart(1), "then", ImagePart(0)])], [SHAPE, picture])
    batch = processor.collate([sample, sample], [[torch.zeros(1, *SHAPE), torch.zeros(1, *picture)]] * 2)
    first, second = processor.image_tokens(SHAPE), processor.image_tokens(picture)
    row = [i for i in batch.visual[1].tolist() if i >= 0]
    start = first + second
    assert row == [*range(start + first, start + first + second), *range(start, start + first)]


def test_a_box_and_its_mask_give_the_same_region(processor: Processor, lesion: np.ndarray) -> None:
    turns = [[Turn("user", [RegionPart(mask=lesion)])], [Turn("user", [RegionPart(box_zyx=(2, 4, 3, 5, 9, 12))])]]
    samples = [processor.encode(turn, [SHAPE]) for turn in turns]
    regions = processor.collate(samples, [[torch.zeros(1, *SHAPE)]] * 2).regions
    assert regions is not None
    assert torch.equal(regions.masks[0], regions.masks[1])
    assert torch.equal(regions.boxes[0], regions.boxes[1])


def test_padding_on_the_left_keeps_positions_and_pointers(processor: Processor) -> None:
    short = processor.encode([Turn("user", ["a"]), Turn("assistant", [Pointer("box")])], [SHAPE])
    long = processor.encode([Turn("user", ["a longer question"]), Turn("assistant", ["no"])], [SHAPE])
    batch = processor.collate([short, long], [[torch.zeros(1, *SHAPE)]] * 2, left=True)
    assert batch.boxes is not None
    assert batch.input_ids[0, batch.boxes.token[0]] == processor.special["box"]
    assert batch.position_ids[0, -1] == len(short.ids) - 1


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([Turn("system", ["x"])], "no role 'system'"),
        ([Turn("user", [ImagePart(3)])], "speaks of image 3"),
        ([Turn("user", [Pointer("mask")])], "mask or box to find stands in a question"),
    ],
)
def test_a_conversation_that_makes_no_sense_is_refused(processor: Processor, turns: list[Turn], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        processor.encode(turns, [SHAPE])


def test_a_region_without_a_place_is_refused(processor: Processor) -> None:
    sample = processor.encode([Turn("user", [RegionPart()])], [SHAPE])
    with pytest.raises(UsageError, match="neither mask nor box"):
        processor.collate([sample], [[torch.zeros(1, *SHAPE)]])


def test_a_vocabulary_larger_than_the_embedding_is_refused(processor: Processor) -> None:
    with pytest.raises(UsageError, match="an id without a row"):
        Processor.for_model(processor.vocabulary, tiny(10))


@pytest.mark.parametrize("shape", [SHAPE, (8, 24, 24), (1, 16, 16)])
def test_the_config_knows_how_many_tokens_an_image_takes(model: VLM, shape: tuple[int, int, int]) -> None:
    assert len(model.see([torch.zeros(1, *shape)]).table) == model.config.image_tokens(shape) > 0
