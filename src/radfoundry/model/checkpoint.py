"""A checkpoint folder: `config.json`, `model.safetensors` and a tokenizer; nothing in it can run.

Writing is atomic (a folder aside, then a rename). Reading is strict: the config's hashes must fit the files, every key and
shape must fit the model, which is built on the meta device first, so that a mismatch is found before memory is
spent. Files that hold pickles are never opened here; `families.convert` reads them in a child process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import radfoundry
from radfoundry.errors import UnreadableError, UsageError
from radfoundry.model.attention import ATTENTION
from radfoundry.model.clip import ClipConfig, ContrastiveModel
from radfoundry.model.config import VLMConfig, from_dict, to_dict
from radfoundry.model.families.registry import processor_for
from radfoundry.model.processor import Processor
from radfoundry.model.vlm import VLM
from radfoundry.model.vocabulary import Vocabulary, read_codec
from radfoundry.model.weights import assign_state, check_shapes, expected_shapes, unique_state

__all__ = ["load", "load_clip", "read_config", "save", "save_state"]

FORMAT = 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
KINDS: dict[str, type[VLMConfig] | type[ClipConfig]] = {"vlm": VLMConfig, "clip": ClipConfig}


def save(model: VLM | ContrastiveModel, words: Processor | Vocabulary, folder: Path | str) -> Path:
    """Write a checkpoint folder in one step; an older one of that name is replaced only when the new one is whole."""
    state = {name: tensor.detach() for name, tensor in unique_state(model).items()}
    return save_state(state, model.config, words if isinstance(words, Vocabulary) else words.vocabulary, folder)


def save_state(
    state: Mapping[str, Tensor], config: VLMConfig | ClipConfig, vocabulary: Vocabulary, folder: Path | str
) -> Path:
    """Like `save`, from a state dict whose model need not be in memory."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        tensors = {name: tensor.contiguous().cpu() for name, tensor in state.items()}
        save_file(tensors, aside / WEIGHTS, metadata={"format": "pt"})
        codec = vocabulary.codec
        (aside / codec.file_name).write_bytes(codec.to_bytes())
        values = {
            "format": FORMAT,
            "radfoundry": radfoundry.__version__,
            "kind": "clip" if isinstance(config, ClipConfig) else "vlm",
            "model": to_dict(config),
            "special_tokens": vocabulary.special,
            "files": {name: file_hash(aside / name) for name in (WEIGHTS, codec.file_name)},
        }
        (aside / CONFIG).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        aside.chmod(0o755)
        _swap(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _swap(aside: Path, folder: Path) -> None:
    """Put the folder aside in its place; the old one goes only after that."""
    for file in aside.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    if not folder.exists():
        os.replace(aside, folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    os.replace(folder, old)
    os.replace(aside, folder)
    shutil.rmtree(old, ignore_errors=True)


def load(
    folder: Path | str, device: str = "cpu", dtype: torch.dtype | None = None, attention: str = ATTENTION
) -> tuple[VLM, Processor]:
    """Read a vision-language checkpoint; the model comes in evaluation mode.

    Raises:
        UsageError: the folder is no checkpoint of ours, or its weights do not fit its config.
        UnreadableError: a file is not what the config says it was.
    """
    config, vocabulary = _open(Path(folder), "vlm")
    with torch.device("meta"):
        model = VLM(config, attention)
    load_state(model, Path(folder) / WEIGHTS, device, dtype)
    return model.eval(), processor_for(vocabulary, config)


def load_clip(
    folder: Path | str, device: str = "cpu", dtype: torch.dtype | None = None
) -> tuple[ContrastiveModel, Vocabulary]:
    """Read a contrastive checkpoint (M3D-CLIP, or ours)."""
    config, vocabulary = _open(Path(folder), "clip")
    with torch.device("meta"):
        model = ContrastiveModel(config)
    load_state(model, Path(folder) / WEIGHTS, device, dtype)
    return model.eval(), vocabulary


def _open(folder: Path, kind: str) -> tuple[Any, Vocabulary]:
    """Check a folder's files against its config; return the config and the vocabulary."""
    values = read_config(folder)
    if values.get("kind", "vlm") != kind:
        raise UsageError(f"{folder} is no {kind} checkpoint", f"it holds a {values['kind']} model")
    for name, wanted in values["files"].items():
        if file_hash(folder / name) != wanted:
            raise UnreadableError(
                f"{folder / name} is not the file that was saved",
                "its SHA-256 differs from the one in config.json",
                "copy the checkpoint again from where it was written",
            )
    return from_dict(KINDS[kind], values["model"]), read_vocabulary(folder, values)


def read_vocabulary(folder: Path, values: dict[str, Any]) -> Vocabulary:
    """The vocabulary that a checkpoint's config names."""
    names = [name for name in values["files"] if name.startswith("tokenizer.")]
    if len(names) != 1:
        raise UsageError(f"{folder} has {len(names)} tokenizers", "a checkpoint has one")
    return Vocabulary(read_codec(folder / names[0]), values.get("special_tokens"))


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check `config.json` of a folder.

    Raises:
        UsageError: there is none, or it was written by something else.
    """
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} is no checkpoint", f"its config.json cannot be read ({error})") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT or not {"model", "files"} <= set(values):
        raise UsageError(
            f"{folder} is no checkpoint of radfoundry",
            "its config.json was written by another program",
            f"radfoundry convert {folder} DST",
        )
    if WEIGHTS not in values["files"] or any(Path(name).name != name for name in values["files"]):
        raise UsageError(f"{folder} is no checkpoint", "its config.json does not name its files")
    if any(Path(name).suffix in PICKLES for name in values["files"]):
        raise UsageError(f"{folder} holds pickled weights", "unpickling runs code", f"radfoundry convert {folder} DST")
    return values


def load_state(model: nn.Module, file: Path, device: str = "cpu", dtype: torch.dtype | None = None) -> None:
    """Fill a model that was built on the meta device from a safetensors file, strictly.

    Raises:
        UsageError: keys or shapes differ; they are listed.
        UnreadableError: the file is no safetensors file.
    """
    try:
        with safe_open(file, framework="pt", device=device) as handle:
            stored = {name: tuple(handle.get_slice(name).get_shape()) for name in handle.keys()}  # noqa: SIM118
            check_shapes(expected_shapes(model), stored, str(file))
            state = {name: handle.get_tensor(name) for name in stored}
    except (SafetensorError, OSError) as error:
        raise UnreadableError(f"{file} is no safetensors file", str(error)) from error
    if dtype is not None:
        state = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    assign_state(model, state, device)


def file_hash(file: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(f"{file} cannot be read", str(error)) from error
