"""Published folders become checkpoints of ours, and nothing in them runs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import LLAVA, M3D, llama3_json, sentence_pieces

import radfoundry
from radfoundry.errors import UnreadableError, UsageError
from radfoundry.model import load
from radfoundry.model.checkpoint import load_clip
from radfoundry.model.describing import describe_model
from radfoundry.model.families import llava, m3d, unpickle
from radfoundry.model.families.convert import convert
from radfoundry.model.families.keys import KeyMap, merge_lora
from radfoundry.model.vlm import VLM
from radfoundry.model.weights import expected_shapes


def published(keys: KeyMap, model: VLM) -> dict[str, torch.Tensor]:
    """A state dict under published names for a model of ours: the rules, backwards, for the families used here."""
    names = {
        "vision.clip.": "model.vision_tower.vision_tower.vision_model.",
        "language_model.causal.": "",
        "connector.projection.layers.0.": "model.mm_projector.0.",
        "connector.projection.layers.1.": "model.mm_projector.2.",
    }
    state = {}
    for name in expected_shapes(model):
        for ours, theirs in names.items():
            if name.startswith(ours):
                state[theirs + name.removeprefix(ours)] = model.state_dict()[name].clone()
    mapped, _ = keys.apply(state)
    assert set(mapped) == set(expected_shapes(model))
    return state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = llava.config(LLAVA)
    torch.manual_seed(0)
    state = published(llava.keys(config), VLM(config))
    source = tmp_path / "published"
    source.mkdir()
    half = len(state) // 2
    for n, part in enumerate((list(state)[:half], list(state)[half:])):
        save_file({key: state[key] for key in part}, source / f"model-{n}.safetensors")
    (source / "config.json").write_text(json.dumps({**LLAVA, "auto_map": {"AutoModel": "modeling.Evil"}}))
    (source / "tokenizer.json").write_text(llama3_json())
    (source / "modeling.py").write_text("raise SystemExit('remote code ran')")
    return source


def test_a_sharded_folder_is_converted_and_its_code_never_runs(folder: Path, tmp_path: Path) -> None:
    done = convert(folder, tmp_path / "ours")
    assert done.family == "llava-tri"
    model, processor = load(done.folder)
    assert model.config == llava.config(LLAVA)
    assert processor.special["eos"] == processor.vocabulary.codec.names()["<|eot_id|>"]


@pytest.mark.slow
def test_a_pickled_file_is_read_by_a_child_process_to_the_bit(folder: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path / "first")
    config = llava.config(LLAVA)
    torch.manual_seed(0)
    state = published(llava.keys(config), VLM(config))
    for file in folder.glob("*.safetensors"):
        file.unlink()
    torch.save({"model": state, "epoch": 2}, folder / "pytorch_model.bin")
    convert(folder, tmp_path / "second")
    first, second = (load(tmp_path / name)[0].state_dict() for name in ("first", "second"))
    assert all(torch.equal(first[key], second[key]) for key in first)


class Harm:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.target,))


@pytest.mark.slow
@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_that_would_write_a_file_is_refused_and_does_not(folder: Path, tmp_path: Path, writer: str) -> None:
    for file in folder.glob("*.safetensors"):
        file.unlink()
    harmful = {"model.norm.weight": Harm(tmp_path / "harmed")}
    if writer == "pickle":
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(harmful))
    else:
        torch.save(harmful, folder / "pytorch_model.bin")
    with pytest.raises(UnreadableError, match=r"was refused[\s\S]*only tensors and plain containers"):
        convert(folder, tmp_path / "ours")
    assert not (tmp_path / "harmed").exists()
    assert not (tmp_path / "ours").exists()


def test_the_child_reads_tensors_and_nothing_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.safetensors"
    shared = torch.ones(3)
    torch.save({"model": {"a": shared, "b": shared}, "epoch": 1}, tmp_path / "good.pth")
    monkeypatch.setattr("sys.argv", ["unpickle", str(tmp_path / "good.pth"), str(out)])
    unpickle.main()
    assert set(load_file(out)) == {"a", "b"}
    torch.save({"a": Harm(tmp_path / "harmed")}, tmp_path / "bad.pth")
    monkeypatch.setattr("sys.argv", ["unpickle", str(tmp_path / "bad.pth"), str(out)])
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        unpickle.main()
    assert not (tmp_path / "harmed").exists()


def test_missing_and_unexpected_keys_are_listed(folder: Path, tmp_path: Path) -> None:
    kept = load_file(folder / "model-1.safetensors")
    kept.pop("model.norm.weight", None)
    save_file(kept, folder / "model-1.safetensors")
    (folder / "model-0.safetensors").unlink()
    with pytest.raises(UsageError, match=r"33 missing: language_model"):
        convert(folder, tmp_path / "ours")
    save_file({"model.stranger": torch.ones(1)}, folder / "model-2.safetensors")
    with pytest.raises(UsageError, match=r"unknown: model\.stranger"):
        convert(folder, tmp_path / "ours")


def test_shards_that_repeat_a_key_are_refused(folder: Path, tmp_path: Path) -> None:
    save_file({"lm_head.weight": torch.ones(1)}, folder / "model-2.safetensors")
    with pytest.raises(UsageError, match="repeats 1 keys"):
        convert(folder, tmp_path / "ours")


def test_a_folder_without_a_tokenizer_or_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UsageError, match="has no tokenizer"):
        convert(folder, tmp_path / "ours")
    with pytest.raises(UsageError, match="no weights in"):
        convert(tmp_path, tmp_path / "ours")


def test_weights_of_no_family_are_refused(tmp_path: Path) -> None:
    save_file({"encoder.weight": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="belong to no known family"):
        convert(tmp_path, tmp_path / "ours")
    with pytest.raises(UsageError, match="no family 'x'"):
        convert(tmp_path, tmp_path / "ours", "x")


def test_m3d_clip_is_converted_too(tmp_path: Path) -> None:
    from radfoundry.model.clip import ContrastiveModel

    sizes = {
        "img_size": [4, 8, 8],
        "patch_size": [2, 4, 4],
        "hidden_size": 16,
        "mlp_dim": 24,
        "num_layers": 1,
        "num_heads": 2,
    }
    text = {
        "vocab_size": 340,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    config = m3d.clip_config({**sizes, "text_encoder": text})
    names = {
        "text.": "language_encoder.",
        "vision_projection.": "mm_vision_proj.",
        "text_projection.": "mm_language_proj.",
        "vision.class_token": "vision_encoder.cls_token",
        "vision.positions.table": "vision_encoder.patch_embedding.position_embeddings",
        "vision.embedding.linear.": "vision_encoder.patch_embedding.patch_embeddings.1.",
        "vision.norm.": "vision_encoder.norm.",
        "vision.blocks.0.attention.qkv.": "vision_encoder.blocks.0.attn.qkv.",
        "vision.blocks.0.attention.out.": "vision_encoder.blocks.0.attn.out_proj.",
        "vision.blocks.0.mlp.0.": "vision_encoder.blocks.0.mlp.linear1.",
        "vision.blocks.0.mlp.2.": "vision_encoder.blocks.0.mlp.linear2.",
        "vision.blocks.0.norm": "vision_encoder.blocks.0.norm",
        "logit_scale": "logit_scale",
    }
    model = ContrastiveModel(config)
    state = {}
    for name, tensor in model.state_dict().items():
        ours = max((start for start in names if name.startswith(start)), key=len)
        state[names[ours] + name.removeprefix(ours)] = tensor.clone()
    source = tmp_path / "published"
    source.mkdir()
    save_file(state, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({**sizes, "text_encoder": text}))
    (source / "tokenizer.model").write_bytes(sentence_pieces())
    done = convert(source, tmp_path / "ours")
    again, _ = load_clip(done.folder)
    assert done.family == "m3d-clip"
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(UsageError, match="is no vlm checkpoint"):
        load(done.folder)


def test_a_lora_training_file_is_merged() -> None:
    base = {"model.layers.0.self_attn.q_proj": torch.randn(4, 6)}
    first, second = torch.randn(2, 6), torch.randn(4, 2)
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    state = {
        f"{name}.base_layer.weight": base["model.layers.0.self_attn.q_proj"],
        f"{name}.lora_A.default.weight": first,
        f"{name}.lora_B.default.weight": second,
        "base_model.model.lm_head.weight": torch.ones(2),
    }
    merged = merge_lora(state, 2)
    assert set(merged) == {"model.layers.0.self_attn.q_proj.weight", "lm_head.weight"}
    expected = base["model.layers.0.self_attn.q_proj"] + 2 * second @ first
    assert torch.allclose(merged["model.layers.0.self_attn.q_proj.weight"], expected)


def test_m3d_phi3_folders_are_told_from_llama2_ones() -> None:
    assert m3d.config({**M3D, "model_type": "lamed_phi3"}).language.model_type == "phi3"
    assert m3d.config({**M3D, "model_type": "lamed_llama"}).language.model_type == "llama"


def test_the_command_converts_and_info_names_the_licence(folder: Path, tmp_path: Path) -> None:
    done = radfoundry.convert(folder, tmp_path / "ours")
    facts = describe_model(str(done.folder))
    assert facts["family"] == "llava-tri"
    assert "Llama-3" in facts["licence"]
    assert facts["parameters"] == sum(tensor.numel() for tensor in load(done.folder)[0].state_dict().values())
