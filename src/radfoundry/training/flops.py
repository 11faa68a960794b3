"""How many floating-point operations a step's layers take: what MFU is made of.

Counted are the products of linear layers and convolutions, forward and backward (a frozen weight has no gradient of its own);
attention's own products and everything recomputed are left out, so the utilisation is never flattered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["FlopCounter"]


class FlopCounter:
    """Counts the operations of a module's layers while it is told to."""

    def __init__(self, module: nn.Module) -> None:
        self._on, self._done = False, 0
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
                layer.register_forward_hook(self._add)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is run forward in the block; backward passes belong outside."""
        self._on = True
        try:
            yield
        finally:
            self._on = False

    def take(self) -> int:
        """Return what was counted, and begin anew."""
        done, self._done = self._done, 0
        return done

    def _add(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self._on:
            passes = 1 + int(inputs[0].requires_grad) + int(_weight(layer).requires_grad)
            self._done += (passes if torch.is_grad_enabled() else 1) * _products(layer, inputs[0], output)


def _products(layer: Any, given: Tensor, made: Tensor) -> int:
    """Two operations for every product of a weight and a value."""
    if isinstance(layer, nn.Linear):
        return 2 * made.numel() * layer.in_features
    window = math.prod(layer.kernel_size)
    turned = isinstance(layer, nn.modules.conv._ConvTransposeNd)
    places, channels = (given.numel(), layer.out_channels) if turned else (made.numel(), layer.in_channels)
    return int(2 * places * channels * window // layer.groups)


def _weight(layer: nn.Module) -> Tensor:
    weight: Tensor = layer.get_parameter("weight")
    return weight
