"""Every published family through the same door: encode, train, ask, save, load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_families import CHANNELS, SHAPES, TINY, codec_of

from radfoundry.errors import UsageError
from radfoundry.model import VLM, Answerer, ImagePart, Pointer, Processor, Question, RegionPart, Turn, load, save
from radfoundry.model.families.registry import FAMILIES, processor_for

SPELLINGS = st.sampled_from(
    ["<image>", "</image>", "<image3>", "[SEG]", "<im_patch>", "<bx_start>", "</s>", "<s>", "<unk>", "<ImageHere>",
     "<Img>", "<|eot_id|>", "<|start_header_id|>", "<|begin_of_text|>", "<pad>", "assistant"]
)  # fmt: skip


def build(family: str) -> tuple[VLM, Processor]:
    torch.manual_seed(0)
    config = FAMILIES[family].config(TINY[family])
    vocabulary = FAMILIES[family].vocabulary(codec_of(family))
    return VLM(config).eval(), processor_for(vocabulary, config)


def view(family: str) -> torch.Tensor:
    return torch.rand(CHANNELS[family], *SHAPES[family], generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=sorted(TINY))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.one_of(st.text(max_size=12), SPELLINGS), min_size=1, max_size=4),
    family=st.sampled_from(sorted(TINY)),
)
def test_text_that_spells_special_tokens_stays_text_in_every_family(parts: list[str], family: str) -> None:
    processor = processor_for(FAMILIES[family].vocabulary(codec_of(family)), FAMILIES[family].config(TINY[family]))
    text = "x" + "".join(parts) + "x"
    special = set(processor.special.values()) | set(processor.vocabulary.codec.names().values())
    assert not special & set(processor.vocabulary.encode(text))
    shape = SHAPES[family]

    def structure(words: str) -> list[int]:
        sample = processor.encode([Turn("user", [ImagePart(), words]), Turn("assistant", [words])], [shape])
        return [i for i in sample.ids if i in special]

    assert structure(text) == structure("x")


def test_a_conversation_trains_and_its_question_is_no_label(family: str) -> None:
    model, processor = build(family)
    turns = [Turn("user", [ImagePart(), "Is there a nodule?"]), Turn("assistant", ["No effusion is seen."])]
    sample = processor.encode(turns, [SHAPES[family]])
    learned = [label for label in sample.labels if label != -100]
    assert "No effusion is seen." in processor.decode(learned)
    assert "nodule" not in processor.decode(learned)
    assert processor.ended(learned)
    loss = model(processor.collate([sample], [[view(family)]])).loss
    assert torch.isfinite(loss)


def test_questions_together_are_answered_as_alone_and_as_without_a_cache(family: str) -> None:
    """M3D-T24: unequal prompts do not see each other's padding. MT-T10, XRG-T33: a row that ends does not end the others."""
    model, processor = build(family)
    answerer = Answerer(model, processor)
    study = answerer.open([view(family)])
    asked = [
        Question("Is there a nodule in the left lung?", max_tokens=6),
        Question("Yes?", choices=("yes", "no effusion is seen")),
        Question("Please describe this image.", max_tokens=6),
    ]
    together = answerer.ask(study, asked)
    for question, answer in zip(asked, together, strict=True):
        assert answerer.ask(study, [question])[0].text == answer.text
    turns = [Turn("user", [ImagePart(), "Please describe this image."])]
    sample = processor.encode(turns, [SHAPES[family]], open_answer=True)
    with torch.inference_mode():
        logits = model(processor.collate([sample], [[view(family)]])).logits[0, -1]
    first = processor.decode([int(logits.argmax())])
    assert together[2].text.startswith(first.strip()) or not first.strip()


def test_a_family_survives_saving(family: str, tmp_path: Path) -> None:
    model, processor = build(family)
    again, words = load(save(model, processor, tmp_path / "checkpoint"))
    assert type(words) is type(processor)
    assert words.special == processor.special
    own, stored = model.state_dict(), again.state_dict()
    assert own.keys() == stored.keys()
    assert all(torch.equal(own[name], stored[name]) for name in own)
    sample = processor.encode([Turn("user", [ImagePart(), "Hm?"])], [SHAPES[family]])
    inputs = processor.collate([sample], [[view(family)]])
    with torch.inference_mode():
        assert torch.allclose(model(inputs).logits, again(inputs).logits, atol=1e-6)


@pytest.mark.parametrize("name", ["radfm", "xraygpt", "llava-tri"])
def test_a_model_without_regions_says_so(name: str) -> None:
    _, processor = build(name)
    with pytest.raises(UsageError, match="reads and writes no regions"):
        processor.encode([Turn("user", [ImagePart(), RegionPart(box_zyx=(0, 0, 0, 1, 4, 4)), "?"])], [SHAPES[name]])


def test_m3d_writes_and_reads_boxes_as_text_m3d_t38() -> None:
    _, processor = build("m3d-lamed")
    shape = SHAPES["m3d-lamed"]
    box = (1.0, 2.0, 3.0, 3.0, 6.0, 8.0)
    sample = processor.encode(
        [Turn("user", ["Find the box."]), Turn("assistant", [Pointer("box", box_zyx=box)])], [shape]
    )
    assert processor.special["bx_start"] in sample.ids
    (found,) = processor.boxes_in(processor.decode(sample.ids), shape)
    assert np.array_equal(found, box)


def test_m3d_takes_one_image_in_front_m3d_t19() -> None:
    _, processor = build("m3d-lamed")
    sample = processor.encode([Turn("user", [ImagePart(), "Is it?"])], [SHAPES["m3d-lamed"]])
    assert sample.ids[0] == processor.special["bos"]
    assert sample.image_at == [(1, 0, 1)]
    with pytest.raises(UsageError, match="2 images in one conversation"):
        processor.encode([Turn("user", [ImagePart(), ImagePart(), "?"])], [SHAPES["m3d-lamed"]])


def test_m3d_locates_with_the_state_that_predicts_seg_m3d_t26() -> None:
    model, processor = build("m3d-lamed")
    volume, shape = view("m3d-lamed"), SHAPES["m3d-lamed"]
    question = "Segment the liver."
    (answer,) = Answerer(model, processor).locate(Answerer(model, processor).open([volume]), [Question(question)])
    sample = processor.encode([Turn("user", [ImagePart(), question]), Turn("assistant", [Pointer("mask")])], [shape])
    with torch.inference_mode():
        (logits,) = model(processor.collate([sample], [[volume]])).mask_logits
    assert answer.mask is not None
    assert np.allclose(answer.mask, logits.sigmoid().numpy(), atol=1e-5)


def test_llava_stops_at_the_end_of_turn_or_of_text_whatever_the_config_says_mt_t35() -> None:
    _, processor = build("llava-tri")
    names = processor.vocabulary.codec.names()
    assert processor.stops == {names["<|eot_id|>"], names["<|end_of_text|>"]}


def test_radfm_stops_at_one_and_at_two_rfm_t31() -> None:
    assert build("radfm")[1].stops == {1, 2}


def test_xraygpt_stops_per_row_and_by_text_xrg_t33() -> None:
    _, processor = build("xraygpt")
    ids = processor.vocabulary.encode("The heart is normal.###")
    assert processor.ended(ids)
    assert not processor.ended(processor.vocabulary.encode("The heart is normal."))
    assert processor.decode(ids) == "The heart is normal."


def test_radfm_images_may_stand_anywhere_in_the_text_rfm_t5() -> None:
    model, processor = build("radfm")
    shape = SHAPES["radfm"]
    sample = processor.encode([Turn("user", ["Compare ", ImagePart(1), " with ", ImagePart(0), "."])], [shape, shape])
    assert [image for _, image, _ in sample.image_at] == [1, 0]
    assert sample.prefix_length == 1
    batch = processor.collate([sample], [[view("radfm"), view("radfm") * 0.5]])
    rows = [row for row in batch.visual[0].tolist() if row >= 0]
    assert rows == [0, 5, 6, 7, 1, 0, 2, 3, 4, 1]
    assert torch.isfinite(model(batch).logits).all()


@pytest.mark.parametrize(
    ("name", "shape", "modality"),
    [
        ("m3d-lamed", (6, 20, 20), "CT"),
        ("radfm", (6, 20, 20), "CT"),
        ("radfm", (30, 20), "DX"),
        ("xraygpt", (30, 20), "DX"),
        ("llava-tri", (30, 20), "DX"),
    ],
)
def test_any_array_becomes_a_view_that_the_model_takes(name: str, shape: tuple[int, ...], modality: str) -> None:
    model, processor = build(name)
    pixels = np.random.default_rng(0).normal(0, 400, shape).astype(np.int16)
    seen = FAMILIES[name].look(pixels, modality, model.config)
    assert torch.isfinite(seen).all()
    answer = Answerer(model, processor).ask(Answerer(model, processor).open([seen]), [Question("Clear?", max_tokens=2)])
    assert answer[0].confidence > 0


@pytest.mark.parametrize(("name", "shape"), [("m3d-lamed", (8, 8)), ("xraygpt", (4, 8, 8)), ("radgenome", (8, 8))])
def test_a_model_of_pictures_refuses_volumes_and_the_other_way_round(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"this model reads (pictures|volumes)"):
        FAMILIES[name].look(np.zeros(shape, dtype=np.int16), "CT", FAMILIES[name].config(TINY[name]))


def test_a_16_bit_film_is_windowed_before_it_is_8_bit_xrg_t5() -> None:
    from radfoundry.model.families.pictures import as_picture

    film = np.linspace(0, 60000, 64 * 64).reshape(64, 64).astype(np.uint16)
    bytes_ = np.asarray(as_picture(film))
    assert len(np.unique(bytes_)) > 200
    colour = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    assert np.array_equal(np.asarray(as_picture(colour)), colour)
