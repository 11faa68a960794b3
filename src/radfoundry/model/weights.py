"""State dicts of modules: which keys and shapes there must be, and how a module without memory is filled."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from radfoundry.errors import UsageError

__all__ = ["assign_state", "check_shapes", "expected_shapes", "unique_state"]


def unique_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with tied tensors once, under their first name."""
    seen: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in state.items() if seen.setdefault(id(tensor), name) == name}


def expected_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Key to shape of what a checkpoint of this model holds (the model may be on the meta device)."""
    return {name: tuple(tensor.shape) for name, tensor in unique_state(model).items()}


def assign_state(model: nn.Module, state: dict[str, Tensor], device: str = "cpu") -> None:
    """Give a meta-device model its tensors, tie what is tied, and compute the buffers that no file holds."""
    model.load_state_dict(state, strict=False, assign=True)
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.tie_weights()
    restore_buffers(model, device)


def check_shapes(expected: Mapping[str, tuple[int, ...]], stored: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Refuse missing, unexpected and differently shaped keys, naming up to eight of each."""
    wrong = [
        ("missing", sorted(set(expected) - set(stored))),
        ("unexpected", sorted(set(stored) - set(expected))),
        ("of another shape", sorted(k for k in expected if k in stored and expected[k] != stored[k])),
    ]
    lines = [
        f"{len(keys)} {what}: {', '.join(keys[:8])}{' ...' if len(keys) > 8 else ''}" for what, keys in wrong if keys
    ]
    if lines:
        raise UsageError(
            f"the weights in {where} do not fit the model", "; ".join(lines), "check the config beside them"
        )


def restore_buffers(model: nn.Module, device: str) -> None:
    """Compute buffers left on the meta device: rotary frequencies, position ids and the like, which no checkpoint holds.

    transformers computes them where it initialises weights, and leaves alone what is marked as initialised.
    """
    for parameter in model.parameters():
        parameter._is_hf_initialized = True  # type: ignore[attr-defined]
    for owner in [module for module in model.modules() if isinstance(module, PreTrainedModel)]:
        for module in owner.modules():
            missing = [name for name, buffer in module.named_buffers(recurse=False) if buffer.is_meta]
            for name in missing:
                module.register_buffer(name, torch.empty_like(getattr(module, name), device=device), persistent=False)
            if missing:
                owner._init_weights(module)  # type: ignore[no-untyped-call]
