"""Several processes under torchrun: who this one is, which part of a step is its own, how the model is spread over them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from radfoundry.errors import UsageError
from radfoundry.training.blocks import blocks_of

__all__ = ["Ranks", "alone", "gather_rows", "joined", "later", "like", "spread", "whole"]

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Does this process write files and talk?"""
        return self.rank == 0

    def part(self, things: Sequence[Thing]) -> list[Thing]:
        """Return what is this process's own: every world-th thing, by index."""
        return list(things[self.rank :: self.world])

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def agree(self, value: float) -> float:
        """Return the first process's value, in every process."""
        own = torch.tensor(value if self.first else 0.0, dtype=torch.float64, device=self.device)
        return float(self.sum(own))

    def wait(self) -> None:
        """Go on when every process has come here."""
        if self.world > 1:
            dist.barrier()


def alone(device: torch.device | str = "cpu") -> Ranks:
    """Return what a single process is."""
    return Ranks(torch.device(device))


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that torchrun started, each with the GPU of its number if there are any; without torchrun, this one alone."""
    world, cuda = int(os.environ.get("WORLD_SIZE", "1")), torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if world == 1:
        yield Ranks(device)
        return
    dist.init_process_group("nccl" if cuda else "gloo", device_id=device if cuda else None)
    try:
        yield Ranks(device, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def spread(objective: nn.Module, ranks: Ranks, sharding: str) -> nn.Module:
    """Return the objective as it is called: with gradients averaged over processes ("ddp"), or weights cut over them too ("fsdp")."""
    objective.to(ranks.device)
    if sharding not in ("ddp", "fsdp"):
        raise UsageError(f"no sharding {sharding!r}", "weights are copied (ddp) or cut (fsdp) over processes")
    if ranks.world == 1:
        return objective
    if sharding == "ddp":
        # heads without a truth in this process's part get no gradient: M3D's masks, published with a plain DDP, fail there
        return DistributedDataParallel(objective, find_unused_parameters=True, broadcast_buffers=False)
    # blocks are cut one by one where each runs exactly once a step: the language model's, on a GPU. How often the encoder runs depends
    # on the shapes of a process's images, and processes that gather weights at different times would wait for each other for ever
    mesh = init_device_mesh(ranks.device.type, (ranks.world,))
    touching = _Touching(objective)
    for block in blocks_of(objective, ("language_model", "text")) if ranks.device.type == "cuda" else ():
        fully_shard(block, mesh=mesh)
    fully_shard(touching, mesh=mesh)
    return touching


class _Touching(nn.Module):
    """Gives every weight outside of the blocks a gradient, zero if it was not used, since all processes have to reduce the same ones."""

    def __init__(self, objective: nn.Module) -> None:
        super().__init__()
        self.objective = objective
        inner = {id(p) for block in blocks_of(objective, ("language_model", "text")) for p in block.parameters()}
        self.names = [name for name, p in objective.named_parameters() if p.requires_grad and id(p) not in inner]

    def forward(self, batch: Sequence[object]) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.objective(batch)
        nothing = torch.stack([self.objective.get_parameter(name).sum() for name in self.names]).sum() * 0
        return {name: loss + nothing for name, loss in losses.items()}


def later(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Return a context in which backward passes keep their gradients at home, for all parts of a step but the last."""
    if isinstance(network, DistributedDataParallel) and not last:
        return network.no_sync()
    return nullcontext()


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor that may be cut over processes; every process has to call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """Return a whole tensor where and how `other` lies: on its device, cut as it is."""
    tensor = tensor.to(other.device)
    if isinstance(other, DTensor) and tensor.shape == other.shape:
        return distribute_tensor(tensor, other.device_mesh, other.placements)
    return tensor


def gather_rows(rows: Tensor, ranks: Ranks) -> Tensor:
    """Return the rows of all processes, this one's in their place; gradients flow back to where rows came from."""
    return _Gather.apply(rows, ranks) if ranks.world > 1 else rows  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    """Backward sums what every process wants of a row: each of them computes the whole loss, and averages gradients."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks, ctx.count = ranks, len(rows)  # type: ignore[attr-defined]
        parts = [torch.empty_like(rows) for _ in range(ranks.world)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        ranks, count = ctx.ranks, ctx.count  # type: ignore[attr-defined]
        grad = ranks.sum(grads[0].contiguous())
        return grad[ranks.rank * count : (ranks.rank + 1) * count], None
