"""Traps whose published behaviour is a fault: ours does what the specification calls native; each test names its trap."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_families_conversations import SPELLINGS, build, view
from tiny_families import M3D, SHAPES, TINY, XRAYGPT, codec_of

from radfoundry.errors import UsageError
from radfoundry.model import VLM, Answerer, ImagePart, Question, RegionPart, Turn
from radfoundry.model.clip import contrastive_loss
from radfoundry.model.families import m3d, xraygpt
from radfoundry.model.families.registry import FAMILIES, processor_for
from radfoundry.model.vocabulary import JsonTokenizer


@pytest.fixture(params=sorted(TINY))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_pair_of_the_batch_is_a_candidate_and_its_own_number_the_label_m3d_t15() -> None:
    assert contrastive_loss(torch.eye(6) * 50) < 1e-6
    assert contrastive_loss(torch.eye(6).roll(2, dims=1) * 50) > 10


def test_an_answer_holds_new_tokens_alone_m3d_t25(family: str) -> None:
    model, processor = build(family)
    study = Answerer(model, processor).open([view(family)])
    (answer,) = Answerer(model, processor).ask(study, [Question("Is there a nodule in the left lung?", max_tokens=3)])
    assert answer.tokens <= 3
    assert "nodule in the left lung" not in answer.text
    assert answer.prompt_tokens > len(processor.vocabulary.encode("Is there a nodule in the left lung?"))


def test_a_segmentation_word_that_is_no_token_stays_a_word_m3d_t9() -> None:
    _, processor = build("m3d-lamed")
    ids = processor.vocabulary.encode("It is <SEG>.")
    assert processor.special["seg"] not in ids
    assert processor.decode(ids) == "It is <SEG>."


def test_a_segmentation_file_without_its_prefix_is_refused_and_not_lost_m3d_t34() -> None:
    decoder = VLM(m3d.config(M3D)).decoder
    assert decoder is not None
    keys = m3d.segvol_keys("model.")
    named = {"model.mask_decoder.iou_token.weight": torch.zeros(1, 16), "model.text_encoder.clip.x": torch.zeros(1)}
    mapped, dropped = keys.apply(named)
    assert list(mapped) == ["decoder.iou_token"]
    assert dropped == ["model.text_encoder.clip.x"]
    with pytest.raises(UsageError, match=r"mask_decoder\.iou_token"):
        keys.apply({"mask_decoder.iou_token.weight": torch.zeros(1, 16)})


def test_nothing_depends_on_the_librarys_generation_loop_m3d_t45(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = build(family)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the library's own loop was called")

    monkeypatch.setattr("transformers.generation.utils.GenerationMixin.generate", never)
    answerer = Answerer(model, processor)
    assert answerer.ask(answerer.open([view(family)]), [Question("Clear?", max_tokens=2)])[0].tokens > 0


def test_several_images_of_several_sizes_are_one_study_rfm_t19() -> None:
    model, processor = build("radfm")
    answerer = Answerer(model, processor)
    study = answerer.open([torch.rand(3, 4, 8, 8), torch.rand(3, 4, 16, 16)])
    assert study.shapes == [(4, 8, 8), (4, 16, 16)]
    assert answerer.ask(study, [Question(["Compare ", ImagePart(1), " and ", ImagePart(0), "."], max_tokens=2)])


@pytest.mark.parametrize("name", ["radfm", "m3d-lamed", "radgenome", "reg2rg"])
def test_a_look_is_the_same_each_time_rfm_t20(name: str) -> None:
    pixels = np.random.default_rng(0).normal(0, 400, (12, 40, 36)).astype(np.int16)
    first, second = (FAMILIES[name].look(pixels, "CT", build(name)[0].config) for _ in range(2))
    assert torch.equal(first, second)


def test_without_images_no_encoder_runs_and_no_dummy_stands_in_rfm_t25_t40_mt_t16(family: str) -> None:
    model, processor = build(family)

    def never(*_: object) -> None:
        raise AssertionError("the encoder ran")

    model.vision.register_forward_pre_hook(never)
    sample = processor.encode([Turn("user", ["Hello?"]), Turn("assistant", ["Yes."])], [])
    assert torch.isfinite(model(processor.collate([sample], [[]])).loss)
    answerer = Answerer(model, processor)
    assert answerer.ask(answerer.open([]), [Question("Hello?", max_tokens=2)])[0].tokens > 0


def test_a_model_is_built_from_its_config_and_nothing_is_fetched_rfm_t29_mt_t33(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", never)
    build(family)


def test_words_are_exact_beside_images_in_half_precision_rfm_t43() -> None:
    model, processor = build("radfm")
    model = model.to(torch.bfloat16)
    sample = processor.encode([Turn("user", [ImagePart(), "Is it?"])], [SHAPES["radfm"]])
    inputs = processor.collate([sample], [[view("radfm").to(torch.bfloat16)]])
    with torch.inference_mode():
        mixed = model.embed(inputs.input_ids, inputs.visual, model.see(inputs.images))
        words = model.language_model.embed(inputs.input_ids)
    text = inputs.visual < 0
    assert torch.equal(mixed[text], words[text])


def test_images_come_in_the_models_own_precision_xrg_t50(family: str) -> None:
    model, processor = build(family)
    answerer = Answerer(model.to(torch.bfloat16), processor)
    assert answerer.ask(answerer.open([view(family)]), [Question("Clear?", max_tokens=2)])[0].tokens > 0


def test_an_answer_that_talks_of_the_doctor_keeps_what_stands_before_xrg_t31() -> None:
    _, processor = build("xraygpt")
    ids = processor.vocabulary.encode("Doctor: Please describe this. The Doctor: is it?###")
    assert processor.decode(ids) == "Please describe this. The Doctor: is it?"


def test_special_tokens_are_no_part_of_an_answer_xrg_t28(family: str) -> None:
    _, processor = build(family)
    ids = processor.vocabulary.encode("Clear.")
    assert processor.decode([*ids, *processor.stops]) == "Clear."
    assert processor.decode([*processor.special.values()][:1] + ids).strip() in ("Clear.", "")


def test_nothing_is_answered_where_nothing_is_asked_xrg_t49() -> None:
    model, processor = build("m3d-lamed")
    answerer = Answerer(model, processor)
    study = answerer.open([view("m3d-lamed")])
    for question in (Question(""), Question(" \n", choices=("yes", "no"))):
        with pytest.raises(UsageError, match="nothing is asked"):
            answerer.ask(study, [question])


def test_loading_lists_what_does_not_fit_xrg_t25() -> None:
    keys = xraygpt.keys(xraygpt.config(XRAYGPT))
    with pytest.raises(UsageError, match="1 keys of the checkpoint are unknown: surprise"):
        keys.apply({"llama_proj.weight": torch.zeros(1), "surprise": torch.zeros(1)})


@settings(max_examples=40, deadline=None)
@given(name=st.one_of(SPELLINGS, st.text(min_size=1, max_size=8)), family=st.sampled_from(sorted(TINY)))
def test_a_region_that_is_named_is_words_whatever_its_name_spells(name: str, family: str) -> None:
    processor = processor_for(FAMILIES[family].vocabulary(codec_of(family)), FAMILIES[family].config(TINY[family]))
    shapes = [SHAPES[family]]
    named = processor.encode([Turn("user", [ImagePart(), "Is ", RegionPart(name=name + "|"), " clear?"])], shapes)
    spelled = processor.encode([Turn("user", [ImagePart(), "Is ", name + "|", " clear?"])], shapes)
    assert named.ids == spelled.ids


@settings(max_examples=40, deadline=None)
@given(text=st.lists(st.one_of(st.text(max_size=6), SPELLINGS, st.sampled_from(["[CLS]", "[SEP]", "[PAD]"]))))
def test_text_that_spells_special_tokens_stays_text_for_m3d_clip_too(text: list[str]) -> None:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    words = {word: number for number, word in enumerate(["[UNK]", "a", "[CLS]", "[SEP]", "[PAD]", "lung"])}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in ("[CLS]", "[SEP]", "[PAD]")])
    vocabulary = m3d.clip_vocabulary(JsonTokenizer(tokenizer))
    ids = vocabulary.encode("a".join(text))
    assert not set(ids) & set(vocabulary.special.values())
