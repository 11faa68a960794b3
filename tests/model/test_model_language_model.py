"""Any causal language model of transformers, from a config or a folder, never with its own code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_model import tiny
from transformers import AutoConfig, AutoModelForCausalLM

from radfoundry.errors import UsageError
from radfoundry.model import VLM, Processor, load, save
from radfoundry.model.config import LanguageConfig
from radfoundry.model.language_model import LanguageModel, cross_entropy, read_language_folder

SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "max_position_embeddings": 64, "pad_token_id": 0}  # fmt: skip


@pytest.mark.parametrize("kind", ["llama", "qwen3", "phi3", "gemma", "gemma3_text", "mistral"])
def test_reading_in_two_pieces_is_reading_in_one(kind: str) -> None:
    torch.manual_seed(0)
    model = LanguageModel(LanguageConfig(kind, {**SIZES, "head_dim": 8})).eval()
    embeddings = model.embed(torch.randint(1, 40, (2, 9)))
    whole = model(embeddings)
    _, past = model.read(embeddings[:, :5])
    rest = model(embeddings[:, 5:], position_ids=torch.arange(5, 9)[None].expand(2, -1), past=past)
    assert past.length == 5
    assert torch.allclose(whole[:, 5:], rest, atol=1e-5)


def test_rows_of_a_past_can_be_repeated_and_reordered() -> None:
    model = LanguageModel(LanguageConfig("qwen3", {**SIZES, "head_dim": 8})).eval()
    _, past = model.read(model.embed(torch.randint(1, 40, (2, 4))))
    chosen = past.rows(torch.tensor([1, 1, 0]))
    assert torch.equal(chosen.layers[0][0][0], past.layers[0][0][1])
    assert torch.equal(chosen.layers[1][1][2], past.layers[1][1][0])


def test_a_cache_that_grows_leaves_the_past_as_it_was() -> None:
    model = LanguageModel(LanguageConfig("llama", SIZES)).eval()
    _, past = model.read(model.embed(torch.randint(1, 40, (1, 4))))
    before = past.layers[0][0].clone()
    model(model.embed(torch.tensor([[3]])), past=past)
    assert past.length == 4
    assert torch.equal(before, past.layers[0][0])


def test_a_folder_of_transformers_is_read_with_its_weights(tmp_path: Path) -> None:
    settings = AutoConfig.for_model("qwen3", **SIZES, head_dim=8)
    AutoModelForCausalLM.from_config(settings).save_pretrained(tmp_path)
    config, state = read_language_folder(tmp_path)
    model = LanguageModel(replace(config, tuning="full"))
    model.causal.load_state_dict(state)
    stored = load_file(tmp_path / "model.safetensors")
    assert config.model_type == "qwen3"
    assert torch.equal(model.causal.model.norm.weight, stored["model.norm.weight"])


def test_a_folder_that_brings_code_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'harmed')!r}, 'w')")
    with pytest.raises(UsageError, match="is no language model that transformers knows"):
        read_language_folder(tmp_path)
    assert not (tmp_path / "harmed").exists()


def test_adapters_survive_saving(processor: Processor, tmp_path: Path) -> None:
    config = tiny(processor.vocabulary.size)
    model = VLM(replace(config, language=replace(config.language, tuning="lora")))
    again, _ = load(save(model, processor, tmp_path / "checkpoint"))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
    assert sum(p.requires_grad for p in again.language_model.parameters()) == 28


def test_an_unknown_tuning_is_refused() -> None:
    with pytest.raises(UsageError, match="no tuning 'half'"):
        LanguageModel(LanguageConfig("llama", SIZES, tuning="half"))


def test_the_mean_is_over_what_is_learned() -> None:
    logits = torch.randn(1, 3, 5)
    targets = torch.tensor([[2, -100, 4]])
    both = [torch.nn.functional.cross_entropy(logits[0, i : i + 1], targets[0, i : i + 1]) for i in (0, 2)]
    assert torch.allclose(cross_entropy(logits, targets), sum(both) / 2)
