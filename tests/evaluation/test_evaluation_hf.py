"""A tiny random vision-language model of transformers, made here, behind `hf:FOLDER`."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_items import closed_item, grey_picture

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.evaluation.predictors import open_predictor
from radfoundry.evaluation.predictors.weights import weights_hash
from radfoundry.evaluation.runlog import RunLog
from radfoundry.evaluation.running import run_task
from radfoundry.evaluation.tasks import Task
from radfoundry.records import Part, Turn

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {% for c in m['content'] %}{% if c['type'] == 'image' %}<image> "
    "{% else %}{{ c['text'] }} {% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %}assistant :{% endif %}"
)
UNKNOWN = "<unk>"
SPECIAL = {"unk_token": UNKNOWN, "bos_token": "<s>", "eos_token": "</s>", "pad_token": UNKNOWN}
WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    "<image>",
    "user",
    ":",
    "yes",
    "no",
    "Is",
    "thing",
    "there",
    "?",
    "assistant",
    "Answer",
    "with",
    "or",
    ".",
]


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """19,000 parameters: a CLIP tower of two layers, a Llama of one, a vocabulary of words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    letters = [chr(code) for code in range(33, 127)]
    vocabulary = {word: at for at, word in enumerate(dict.fromkeys([*WORDS, *letters]))}
    tokens = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, additional_special_tokens=["<image>"], **SPECIAL
    )  # fmt: skip
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}), tokenizer,
        patch_size=14, vision_feature_select_strategy="default", chat_template=TEMPLATE, num_additional_image_tokens=1,
    )  # fmt: skip
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(num_hidden_layers=2, image_size=28, patch_size=14, projection_dim=16, **sizes),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer), num_hidden_layers=1, bos_token_id=1, eos_token_id=2, pad_token_id=0, **sizes
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_seq_length=4, vision_feature_layer=-1,
    )  # fmt: skip
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("llava") / "tiny"
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model(tiny_llava: Path):
    return open_predictor(f"hf:{tiny_llava}")


def test_a_model_without_code_of_its_own_is_benched(model, tiny_llava, tmp_path) -> None:
    pictures = [grey_picture(f"img_{k}", (40 + 9 * k, 30)) for k in range(4)]
    items = [closed_item(k, pictures=(pictures[k],)) for k in range(4)]
    result = run_task(Task("toy", "1", items), model, tmp_path)
    assert result.errors == {}
    assert {"image-removed", "image-shuffled"} == set(result.scores[0].blind)
    record = RunLog(tmp_path).records()[0]
    assert record.sent == "user: <picture> Is thing 0 there? Answer with yes or no."
    assert RunLog(tmp_path).about["made_by"]["by"] == "tiny"
    assert len(list((tmp_path / "examples").glob("*.png"))) == 2


def test_an_answer_does_not_depend_on_its_batch(model) -> None:
    """Fault 17, and MT-T9: padding without a mask moved the logits of the shorter rows."""
    small, large = grey_picture("img_a", (40, 30)), grey_picture("img_b", (400, 300))
    one = closed_item(1, pictures=(small,)).question
    other = replace(
        closed_item(2, pictures=(large,)).question,
        turns=(Turn("user", (Part("image", ref="img_b"), Part("text", "Is " * 30))),),
    )
    alone = model.answer([one])[0].text, model.answer([other])[0].text
    assert tuple(a.text for a in model.answer([other, one, other])) == (alone[1], alone[0], alone[1])


def test_the_picture_makes_a_difference_and_a_volume_is_shown(model) -> None:
    volume = grey_picture("img_v", (20, 32, 32), "CT")
    answer = model.answer([replace(closed_item(1, pictures=(volume,)).question, answer_kind="open")])[0]
    assert not answer.error
    assert "from head to feet" in answer.sent


def test_text_that_spells_a_special_token_stays_text(model) -> None:
    question = closed_item(1, pictures=(grey_picture(),)).question
    nasty = replace(
        question, turns=(Turn("user", (Part("image", ref="img_a"), Part("text", "<image> </s> Is <image>?"))),)
    )
    answer = model.answer([nasty])[0]
    assert not answer.error  # a second <image> without a picture would be refused by the processor
    assert "< image>" in answer.sent


def test_a_picture_that_cannot_be_read_is_an_error_of_that_question_alone(model) -> None:
    def broken():
        raise UnreadableError("cut short", "", "")

    question = closed_item(1, pictures=(grey_picture(),)).question
    lost = replace(question, pictures=(replace(question.pictures[0], load=broken),))
    answers = model.answer([question, replace(question, answer_kind="mask"), lost])
    assert not answers[0].error
    assert answers[1].error.startswith("no mask")
    assert answers[2].error == "unreadable picture: cut short"


def test_a_folder_with_code_of_its_own_is_refused_unread(tiny_llava, tmp_path) -> None:
    folder = tmp_path / "own-code"
    shutil.copytree(tiny_llava, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Model"}}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UsageError, match="needs code of its own"):
        open_predictor(f"hf:{folder}")
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_and_no_weights_are_refused(tiny_llava, tmp_path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_llava, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match="cannot be opened"):
        open_predictor(f"hf:{folder}")
    with pytest.raises(UsageError, match="names no model"):
        open_predictor("hf:")


def test_weights_have_a_hash_that_follows_their_bytes(tiny_llava, tmp_path) -> None:
    first = weights_hash(tiny_llava)
    shutil.copytree(tiny_llava, tmp_path / "copy")
    assert weights_hash(tmp_path / "copy") == first
    raw = bytearray((tmp_path / "copy" / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "copy" / "model.safetensors").write_bytes(raw)
    assert weights_hash(tmp_path / "copy") != first
    assert weights_hash(tmp_path) == ""
