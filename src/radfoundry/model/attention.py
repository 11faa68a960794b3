"""How a language model attends, behind transformers' own door: the one place that chooses between three ways.

- a FlexAttention block mask is given: FlexAttention, compiled once for all lengths where there is a GPU;
- rows follow a `Trunk`, something that was read once for many of them: its keys and values are attended to where they lie;
- else scaled dot-product attention as transformers does it.

Nothing of a trunk is copied per row. On a CPU its part and the row's own are two runs of PyTorch's flash kernel whose results are
weighted by their log-sums of exponentials; the backward pass hands both runs the joint result, which makes each part's gradients the
exact ones (Dao 2022, recomputation from the log-sum). Elsewhere keys are laid side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from radfoundry.errors import UsageError

__all__ = ["ATTENTION", "Layer", "Trunk", "attend"]

ATTENTION = "radfoundry"
Layer = tuple[Tensor, Tensor]
"""Keys and values `[rows, heads, tokens, head_width]`."""


@dataclass(frozen=True)
class Trunk:
    """What rows share: groups of rows that follow each other, each behind keys and values of its own (None: of nothing)."""

    groups: tuple[tuple[tuple[Layer, ...] | None, int], ...]
    """Per group its layers, one row each, and how many rows follow it."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of each group."""
        return tuple(count for _, count in self.groups)

    @classmethod
    def of(cls, pasts: Sequence[tuple[Layer, ...] | None]) -> Trunk | None:
        """What each row stands behind, neighbours behind the same thing as one group; None where no row has anything."""
        if all(past is None for past in pasts):
            return None
        groups = (list(group) for _, group in groupby(pasts, key=id))
        return cls(tuple((group[0], len(group)) for group in groups))

    def rows(self, index: Sequence[int]) -> Trunk | None:
        """The trunk of some of the rows."""
        each = [layers for layers, count in self.groups for _ in range(count)]
        return Trunk.of([each[row] for row in index])

    def layer(self, number: int) -> list[Layer | None]:
        """Keys and values of one layer of the language model, group by group."""
        return [layers[number] if layers is not None else None for layers, _ in self.groups]


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | BlockMask | None,
    scaling: float | None = None,
    trunk: Trunk | None = None,
    reached: set[int] | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer: queries `[rows, heads, tokens, head_width]` -> `[rows, tokens, heads, head_width]`.

    `reached` collects the layers that saw the trunk, so that a model which drops it on the way is noticed.
    """
    if more.get("dropout") and (trunk is not None or isinstance(attention_mask, BlockMask)):
        raise UsageError(
            "attention drops some of what it sees",
            "what is shared would lose the same for all",
            "set the language model's attention_dropout to 0",
        )
    query, key = query.to(value.dtype), key.to(value.dtype)  # under autocast the rotation leaves them in float32
    if isinstance(attention_mask, BlockMask):
        out = _flex(query.device.type)(query, key, value, block_mask=attention_mask, scale=scaling, enable_gqa=True)
        return cast(Tensor, out).transpose(1, 2).contiguous(), None
    if trunk is None:
        out, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
        return out, None
    number = cast(int, module.layer_idx)
    if reached is not None:
        reached.add(number)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    layers = [layer and (layer[0].to(value.dtype), layer[1].to(value.dtype)) for layer in trunk.layer(number)]
    _check_window(more.get("sliding_window"), layers, key)
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if query.device.type == "cpu":
        flat = [tensor for layer in layers if layer is not None for tensor in layer]
        has = tuple(layer is not None for layer in layers)
        out = _BesideTrunk.apply(query, key, value, attention_mask, scale, trunk.counts, has, *flat)  # type: ignore[no-untyped-call]
    else:
        out = side_by_side(query, key, value, attention_mask, scale, trunk.counts, layers)
    return cast(Tensor, out).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


@cache
def _flex(device: str) -> Callable[..., Any]:
    """FlexAttention, compiled for any lengths; a CPU runs it as it is, forward alone."""
    run = flex_attention if device == "cpu" else torch.compile(flex_attention, dynamic=True)
    return cast(Callable[..., Any], run)


def _check_window(window: int | None, layers: list[Layer | None], key: Tensor) -> None:
    longest = max((layer[0].shape[2] for layer in layers if layer is not None), default=0)
    if window is not None and longest + key.shape[2] > window:
        raise UsageError(
            f"{longest + key.shape[2]} tokens behind a shared beginning",
            f"this language model attends to {window} at a time",
            "ask about fewer or smaller images",
        )


def side_by_side(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    counts: tuple[int, ...],
    layers: list[Layer | None],
) -> Tensor:
    """Attention with each row's trunk laid before its own keys: plain, on any device, a copy for every row."""
    if mask is None:
        mask = query.new_ones(query.shape[2], key.shape[2], dtype=torch.bool).tril(key.shape[2] - query.shape[2])
    mask = mask.expand(query.shape[0], 1, *mask.shape[-2:])
    outs, heads = [], query.shape[1]
    for (first, last), layer in zip(_spans(counts), layers, strict=True):
        keys, values, seen = key[first:last], value[first:last], mask[first:last]
        if layer is not None:
            repeats = heads // layer[0].shape[1]
            before = [x.repeat_interleave(repeats, dim=1).expand(last - first, -1, -1, -1) for x in layer]
            keys, values = torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)
            seen = F.pad(seen, (layer[0].shape[2], 0), value=True)
        outs.append(F.scaled_dot_product_attention(query[first:last], keys, values, seen, scale=scale))
    return torch.cat(outs)


class _BesideTrunk(torch.autograd.Function):
    """Own keys and the trunk's as two runs of the CPU's flash kernel, merged; see the module's docstring."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        scale: float,
        counts: tuple[int, ...],
        has: tuple[bool, ...],
        *flat: Tensor,
    ) -> Tensor:
        mask = _additive(mask, query)
        causal = mask is None and query.shape[2] > 1
        out, total = _run(query, key, value, mask, causal, scale)
        for (first, last), layer in _layers(counts, has, flat):
            rows = slice(first, last)
            other, weight = _run(_fold(query[rows], layer[0]), *layer, None, False, scale)
            other, weight = _unfold(other, query[rows]), _unfold(weight[..., None], query[rows])[..., 0]
            joint = torch.logaddexp(total[rows], weight)
            out[rows] = out[rows] * (total[rows] - joint).exp()[..., None].to(out.dtype)
            out[rows] += other * (weight - joint).exp()[..., None].to(out.dtype)
            total[rows] = joint
        ctx.save_for_backward(query, key, value, out, total, *flat)
        ctx.mask, ctx.about = mask, (causal, scale, counts, has)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, total, *flat = ctx.saved_tensors
        causal, scale, counts, has = ctx.about
        grad = grads[0].transpose(1, 2).contiguous().transpose(1, 2)
        found, of_key, of_value = _run_back(grad, query, key, value, out, total, ctx.mask, causal, scale)
        of_flat: list[Tensor] = []
        for (first, last), layer in _layers(counts, has, flat):
            rows, like = slice(first, last), layer[0]
            folded = [_fold(tensor[rows], like) for tensor in (grad, query, out)]
            weight = _fold(total[rows][..., None], like)[..., 0]
            of_query, *of_layer = _run_back(folded[0], folded[1], *layer, folded[2], weight, None, False, scale)
            found[rows] += _unfold(of_query, query[rows])
            of_flat += of_layer
        return found, of_key, of_value, None, None, None, None, *of_flat


def _run(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """Attention and the log-sum of exponentials `[rows, heads, tokens]` of each query."""
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, total = flash(query, key, value, 0.0, causal, attn_mask=mask, scale=scale)
    return out, total


def _run_back(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, total: Tensor, mask: Tensor | None, causal: bool,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of queries, keys and values, given the whole result and its log-sums."""
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    total = total.transpose(1, 2).contiguous().transpose(1, 2)  # the layout that the kernel writes and reads
    found = flash(grad, query, key, value, out, total, 0.0, causal, attn_mask=mask, scale=scale)
    return cast(tuple[Tensor, Tensor, Tensor], found)


def _additive(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """A mask of true and false as 0 and the least number: not minus infinity, so that padding that sees nothing stays finite."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, torch.finfo(query.dtype).min)


def _layers(
    counts: tuple[int, ...], has: tuple[bool, ...], flat: tuple[Tensor, ...] | list[Tensor]
) -> Iterator[tuple[tuple[int, int], Layer]]:
    """The groups that stand behind something: their rows, its keys and values."""
    pairs = iter(zip(flat[::2], flat[1::2], strict=True))
    for span, there in zip(_spans(counts), has, strict=True):
        if there:
            yield span, next(pairs)


def _spans(counts: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    first = 0
    for count in counts:
        yield first, first + count
        first += count


def _fold(tensor: Tensor, like: Tensor) -> Tensor:
    """Rows and grouped heads as one long sequence: `[rows, heads, tokens, w]` -> `[1, key heads, rows * group * tokens, w]`."""
    heads = like.shape[1]
    rows, all_heads, tokens, width = tensor.shape
    split = tensor.reshape(rows, heads, all_heads // heads, tokens, width)
    return split.transpose(0, 1).reshape(1, heads, -1, width)


def _unfold(tensor: Tensor, like: Tensor) -> Tensor:
    """The inverse of `_fold`; `like` has the rows, heads and tokens."""
    rows, heads, tokens = like.shape[:3]
    split = tensor.reshape(tensor.shape[1], rows, heads // tensor.shape[1], tokens, -1)
    return split.transpose(0, 1).reshape(rows, heads, tokens, -1)
