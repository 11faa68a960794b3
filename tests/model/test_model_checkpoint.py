"""Checkpoints: bit-exact, atomic, strict, and unable to run anything."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.model import VLM, Processor, load, save
from radfoundry.model.checkpoint import file_hash


@pytest.fixture
def folder(model: VLM, processor: Processor, tmp_path: Path) -> Path:
    return save(model, processor, tmp_path / "checkpoint")


def rewrite_hash(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["files"]["model.safetensors"] = file_hash(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(values))


def test_what_is_loaded_is_what_was_saved_to_the_bit(model: VLM, processor: Processor, folder: Path) -> None:
    again, words = load(folder)
    saved = model.state_dict()
    assert saved.keys() == again.state_dict().keys()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in again.state_dict().items())
    assert words.vocabulary.encode("Ünïcode, left lung") == processor.vocabulary.encode("Ünïcode, left lung")
    assert again.config == model.config


def test_a_loaded_model_has_nothing_left_on_the_meta_device(folder: Path) -> None:
    model, _ = load(folder)
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])


def test_saving_over_a_checkpoint_replaces_it_and_leaves_nothing_beside(
    model: VLM, processor: Processor, folder: Path
) -> None:
    torch.nn.init.zeros_(model.vision.norm.bias)
    torch.nn.init.ones_(model.vision.norm.weight)
    save(model, processor, folder)
    assert torch.equal(load(folder)[0].vision.norm.weight, model.vision.norm.weight)
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def test_a_failed_save_leaves_the_old_checkpoint(
    model: VLM, processor: Processor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "config.json").read_bytes()
    monkeypatch.setattr(processor.vocabulary.codec, "tokenizer", None)
    with pytest.raises(AttributeError, match="to_str"):
        save(model, processor, folder)
    assert (folder / "config.json").read_bytes() == before
    load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_changed_byte_is_noticed(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-5] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(UnreadableError, match="is not the file that was saved"):
        load(folder)


def test_a_truncated_file_is_refused_even_if_the_hash_was_made_to_fit(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    rewrite_hash(folder)
    with pytest.raises(UnreadableError, match="no safetensors file"):
        load(folder)


class Harm:
    """What a pickle could do; the test looks whether it was done."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.target,))


def test_a_pickle_under_the_name_of_a_safetensors_file_is_refused_unread(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Harm(tmp_path / "harmed")))
    rewrite_hash(folder)
    with pytest.raises(UnreadableError, match="no safetensors file"):
        load(folder)
    assert not (tmp_path / "harmed").exists()


def test_a_config_that_names_a_pickle_is_refused(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["files"]["pytorch_model.bin"] = "0"
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(UsageError, match="holds pickled weights"):
        load(folder)


def test_a_config_that_names_a_file_elsewhere_is_refused(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["files"]["../secret"] = "0"
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(UsageError, match="does not name its files"):
        load(folder)


def test_keys_that_do_not_fit_are_listed(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["stranger"] = state.pop("vision.norm.weight")
    save_file(state, folder / "model.safetensors")
    rewrite_hash(folder)
    with pytest.raises(UsageError, match=r"1 missing: vision.norm.weight; 1 unexpected: stranger"):
        load(folder)


def test_a_folder_of_another_program_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["X"], "auto_map": {"AutoModel": "evil.py--Evil"}}')
    with pytest.raises(UsageError, match="radfoundry convert"):
        load(tmp_path)


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no checkpoint"):
        load(tmp_path)
