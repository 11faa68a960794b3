"""The child process of `convert`: read one pickled weight file with PyTorch's weights-only reader, write safetensors.

    python -I unpickle.py FILE OUT

It imports nothing of ours. Tensors that share memory are copied, so that each key stands for itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save_file


def tensors_in(values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The state dict in what a training program saved: the mapping itself, or the one under a usual name."""
    for key in ("model", "state_dict", "module"):
        if isinstance(values.get(key), Mapping):
            return tensors_in(values[key])
    return {
        name: value.detach().contiguous().clone() for name, value in values.items() if isinstance(value, torch.Tensor)
    }


def main() -> None:
    """Read the file that the first argument names, write the second."""
    source, target = sys.argv[1:3]
    values = torch.load(source, map_location="cpu", weights_only=True)
    if not isinstance(values, Mapping):
        sys.exit(f"the file holds a {type(values).__name__}, not a state dict")
    save_file(tensors_in(values), target)


if __name__ == "__main__":
    main()
