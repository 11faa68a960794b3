"""Three ways to attend, the same numbers: beside a trunk, with keys laid side by side, under a block mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from radfoundry.errors import UsageError
from radfoundry.model.attention import Layer, Trunk, attend, side_by_side
from radfoundry.model.config import LanguageConfig
from radfoundry.model.language_model import LanguageModel

WIDTH = 8
LLAMA = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "pad_token_id": None}  # fmt: skip


class Module(nn.Module):
    layer_idx = 0


def draw(seed: int, rows: int, heads: int, keys: int, tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((rows, heads, tokens, WIDTH), (rows, keys, tokens, WIDTH), (rows, keys, tokens, WIDTH))
    query, key, value = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    return query, key, value


def trunk_of(lengths: list[int | None], counts: list[int], keys: int) -> Trunk:
    generator = torch.Generator().manual_seed(9)
    groups = []
    for length, count in zip(lengths, counts, strict=True):
        shape = (1, keys, length or 0, WIDTH)
        layer = tuple(torch.randn(shape, generator=generator).requires_grad_() for _ in range(2))
        groups.append((((layer[0], layer[1]),) if length else None, count))
    return Trunk(tuple(groups))


def plain(query: Tensor, key: Tensor, value: Tensor, trunk: Trunk, mask: Tensor | None) -> Tensor:
    repeats = query.shape[1] // key.shape[1]
    key, value = (tensor.repeat_interleave(repeats, dim=1) for tensor in (key, value))
    out = side_by_side(query, key, value, mask, WIDTH**-0.5, trunk.counts, trunk.layer(0))
    return out.transpose(1, 2)


def leaves(trunk: Trunk) -> list[Tensor]:
    layers: list[Layer] = [layer for layer in trunk.layer(0) if layer is not None]
    return [tensor for layer in layers for tensor in layer]


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=1, max_size=3),
    counts=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    heads=st.sampled_from([(2, 2), (4, 2), (3, 1)]),
    tokens=st.integers(1, 6),
    padded=st.booleans(),
)
def test_beside_a_trunk_is_side_by_side_in_values_and_gradients(
    lengths: list[int | None], counts: list[int], heads: tuple[int, int], tokens: int, padded: bool
) -> None:
    trunk = trunk_of(lengths, counts[: len(lengths)], heads[1])
    query, key, value = draw(1, sum(trunk.counts), heads[0], heads[1], tokens)
    mask = None
    if padded:
        mask = torch.ones(tokens, tokens, dtype=torch.bool).tril().repeat(len(query), 1, 1, 1)
        mask[0, :, :, : tokens // 2] = False  # the first row begins later
    real = torch.ones(len(query), tokens, 1, 1)
    real[0, : tokens // 2 if padded else 0] = 0
    weight = torch.randn(len(query), tokens, heads[0], WIDTH, generator=torch.Generator().manual_seed(2)) * real
    things = [query, key, value, *leaves(trunk)]
    ours, _ = attend(Module(), query, key, value, mask, trunk=trunk)
    theirs = plain(query, key, value, trunk, mask)
    assert torch.allclose(ours * real, theirs.nan_to_num() * real, atol=1e-5)
    assert torch.isfinite(ours).all()
    mine = torch.autograd.grad((ours * weight).sum(), things)
    # rows that are padding see nothing where there is no trunk: their gradient is nought times undefined in the plain way
    other = torch.autograd.grad((torch.where(weight != 0, theirs, 0) * weight).sum(), things)
    for one, two in zip(mine, other, strict=True):
        assert torch.allclose(one, two.nan_to_num(), atol=1e-5)


def test_a_trunk_of_some_rows_is_what_these_rows_stand_behind() -> None:
    trunk = trunk_of([3, None, 5], [2, 1, 2], 1)
    fewer = trunk.rows([1, 2, 4])
    assert fewer is not None
    assert fewer.counts == (1, 1, 1)
    assert [layer[0].shape[2] if layer else 0 for layer in fewer.layer(0)] == [3, 0, 5]
    assert trunk.rows([2]) is None
    assert Trunk.of([None, None]) is None


@pytest.mark.parametrize("kind", ["llama", "qwen3", "phi3", "gemma"])
def test_a_language_model_behind_a_trunk_reads_as_behind_its_past(kind: str) -> None:
    torch.manual_seed(0)
    model = LanguageModel(LanguageConfig(kind, LLAMA | {"head_dim": 8})).eval()
    start, branches = torch.randn(1, 5, 32), torch.randn(3, 4, 32)
    with torch.inference_mode():
        _, past = model.read(start)
        whole = model(torch.cat([start.expand(3, -1, -1), branches], dim=1))[:, 5:]
        positions = torch.arange(5, 9).expand(3, -1)
        branched = model(branches, None, positions, trunk=Trunk(((past.layers, 3),)))
        stepped, own = model.read(branches[:, :3], None, positions[:, :3], trunk=Trunk(((past.layers, 3),)))
        last = model(branches[:, 3:], None, positions[:, 3:], own, Trunk(((past.layers, 3),)))
    assert torch.allclose(branched, whole, atol=1e-5)
    assert torch.allclose(torch.cat([stepped, last], dim=1), whole, atol=1e-5)


def test_a_language_model_that_drops_the_trunk_on_its_way_is_noticed() -> None:
    model = LanguageModel(LanguageConfig("llama", LLAMA), "eager").eval()
    _, past = model.read(torch.randn(1, 5, 32))
    with pytest.raises(UsageError, match="llama cannot share what was read before"):
        model(torch.randn(2, 3, 32), None, torch.arange(5, 8).expand(2, -1), trunk=Trunk(((past.layers, 2),)))


def test_a_window_that_is_shorter_than_the_trunk_is_refused() -> None:
    model = LanguageModel(LanguageConfig("phi3", LLAMA | {"sliding_window": 6})).eval()
    _, past = model.read(torch.randn(1, 5, 32))
    with pytest.raises(UsageError, match="attends to 6 at a time"):
        model(torch.randn(2, 3, 32), None, torch.arange(5, 8).expand(2, -1), trunk=Trunk(((past.layers, 2),)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_trunk_on_a_gpu_is_side_by_side_too() -> None:
    model = LanguageModel(LanguageConfig("llama", LLAMA)).cuda()
    start, branches = torch.randn(1, 5, 32, device="cuda"), torch.randn(3, 4, 32, device="cuda")
    _, past = model.read(start)
    whole = model(torch.cat([start.expand(3, -1, -1), branches], dim=1))[:, 5:]
    branched = model(branches, None, torch.arange(5, 9, device="cuda").expand(3, -1), trunk=Trunk(((past.layers, 3),)))
    assert torch.allclose(branched, whole, atol=1e-4)
    branched.sum().backward()


def test_dropout_of_what_is_shared_is_refused() -> None:
    model = LanguageModel(LanguageConfig("llama", LLAMA | {"attention_dropout": 0.1})).train()
    _, past = model.read(torch.randn(1, 5, 32))
    with pytest.raises(UsageError, match="attention_dropout to 0"):
        model(torch.randn(2, 3, 32), None, torch.arange(5, 8).expand(2, -1), trunk=Trunk(((past.layers, 2),)))
