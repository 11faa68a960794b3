"""Published folders to ours: read the weights without running anything, map every key, write a checkpoint.

Pickled files (`.bin`, `.pt`, `.pth`) are read by a child process with PyTorch's weights-only reader, which may build tensors
and plain containers and nothing else; what it found comes back as safetensors. Code that lies in a folder is never
looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.model.checkpoint import PICKLES, save_state
from radfoundry.model.clip import ClipConfig, ContrastiveModel
from radfoundry.model.families.keys import check, merge_lora
from radfoundry.model.families.registry import FAMILIES, recognise
from radfoundry.model.vlm import VLM
from radfoundry.model.vocabulary import Codec, read_codec

__all__ = ["Converted", "convert", "read_weights"]

TORCH_FLOOR = (2, 10)
SKIPPED = ("optimizer", "scheduler", "rng_state", "training_args", "scaler")


class Converted(NamedTuple):
    """What a conversion did."""

    folder: Path
    family: str
    tensors: int
    dropped: list[str]
    """Dead keys that the published checkpoint holds and nothing uses."""


def convert(source: Path | str, target: Path | str, family: str | None = None) -> Converted:
    """Write a published folder as a checkpoint of ours.

    `config.json` gives the sizes where the folder has one, else they are the published ones; `tokenizer.json` or
    `tokenizer.model` the text.

    Raises:
        UsageError: no weights, no tokenizer, an unknown family; missing, unexpected or misshapen keys, which are listed.
        UnreadableError: a weight file is broken, or would run code.
    """
    source = Path(source)
    if family is not None and family not in FAMILIES:
        raise UsageError(f"no family {family!r}", f"known: {', '.join(FAMILIES)}")
    state = read_weights(source)
    name = family or recognise([key.removeprefix("base_model.model.") for key in state])
    described = FAMILIES[name]
    if any(".lora_" in key for key in state):
        state = merge_lora(state, described.lora_scale)
    config = described.config(read_published_config(source))
    mapped, dropped = described.keys(config).apply(state)
    with torch.device("meta"):
        model: nn.Module = ContrastiveModel(config) if isinstance(config, ClipConfig) else VLM(config)
    check(model, mapped, str(source))
    folder = save_state(mapped, config, described.vocabulary(find_codec(source)), target)
    return Converted(folder, name, len(mapped), dropped)


def read_published_config(folder: Path) -> dict[str, Any]:
    """The folder's `config.json`, or nothing."""
    file = folder / "config.json"
    if not file.is_file():
        return {}
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{file} cannot be read", str(error)) from error
    return values


def find_codec(folder: Path) -> Codec:
    """The folder's tokenizer.

    Raises:
        UsageError: it has none.
    """
    for name in ("tokenizer.json", "tokenizer.model"):
        if (folder / name).is_file():
            return read_codec(folder / name)
    raise UsageError(
        f"{folder} has no tokenizer",
        "the language model's text needs one",
        "copy tokenizer.model or tokenizer.json there",
    )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's weight files (or of one file); a `pytorch_model.bin` beside safetensors is skipped.

    Raises:
        UsageError: there are no weights.
    """
    files = [folder] if folder.is_file() else sorted(path for path in folder.iterdir() if path.is_file())
    safe = [file for file in files if file.suffix == ".safetensors"]
    pickled = [file for file in files if file.suffix in PICKLES and not file.name.startswith(SKIPPED)]
    if safe:  # the usual second copy of the same weights
        pickled = [file for file in pickled if not file.name.startswith("pytorch_model")]
    state: dict[str, Tensor] = {}
    for file in [*safe, *pickled]:
        found = read_safe(file) if file in safe else read_pickle(file)
        twice = sorted(set(found) & set(state))
        if twice:
            raise UsageError(
                f"{file} repeats {len(twice)} keys of another file: {', '.join(twice[:4])}", "a shard has its own keys"
            )
        state.update(found)
    if not state:
        raise UsageError(f"no weights in {folder}", f"looked for .safetensors, {', '.join(PICKLES)}")
    return state


def read_safe(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file."""
    try:
        state: dict[str, Tensor] = load_file(file)
    except (SafetensorError, OSError) as error:
        raise UnreadableError(f"{file} is no safetensors file", str(error)) from error
    return state


def read_pickle(file: Path) -> dict[str, Tensor]:
    """The tensors of a pickled file, read in a child process.

    Raises:
        UnreadableError: the file holds anything but tensors and plain containers, or is cut short.
        UsageError: PyTorch is too old for this to be safe.
    """
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < TORCH_FLOOR:
        raise UsageError(
            f"PyTorch {torch.__version__} is too old to read {file.name}",
            "its weights-only reader could be made to run code before 2.10",
            "pip install 'torch>=2.10'",
        )
    with tempfile.TemporaryDirectory() as aside:
        out = Path(aside) / "weights.safetensors"
        command = [sys.executable, "-I", str(Path(__file__).with_name("unpickle.py")), str(file), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not out.is_file():
            reason = (done.stderr.strip().splitlines() or ["the reader ended without a word"])[-1]
            raise UnreadableError(
                f"{file} was refused", reason, "only tensors and plain containers are read; ask for safetensors instead"
            )
        return read_safe(out)
