"""The repeated blocks of a network: what is recomputed to save memory, and what is cut over processes one by one."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

__all__ = ["blocks_of", "recompute"]


def blocks_of(module: nn.Module, parts: Collection[str] = ("vision", "language_model", "text")) -> list[nn.Module]:
    """Return the blocks of the parts of a network that have these names: each one's longest list of modules."""
    found: list[nn.Module] = []
    for name, part in module.named_modules():
        if name.rsplit(".", 1)[-1] in parts:
            lists = [list(inner) for inner in part.modules() if isinstance(inner, nn.ModuleList)]
            longest = max(lists, key=len, default=[])
            found += longest
    return list(dict.fromkeys(found))


def recompute(module: nn.Module) -> None:
    """Keep no activations inside of blocks: the backward pass computes them again. Losses and gradients stay the same.

    A block that writes keys and values (a packed prefix on a CPU) or reads them is left as it is, since to run it twice would write
    them twice.
    """
    for block in blocks_of(module):
        block.forward = partial(_run, block.forward)


def _run(forward: Any, *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("past_key_values") is not None:
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)
