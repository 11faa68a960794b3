"""Published state-dict keys to ours: ordered rules, a list of dead keys, and nothing may be left over.

Rules work on tensors of any device, so a listing of a full-size checkpoint can be mapped on the meta device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model.weights import check_shapes, expected_shapes

__all__ = ["KeyMap", "Rule", "causal_rules", "causal_settings", "check", "merge_lora", "meta_state", "vit_rules"]


@dataclass(frozen=True)
class Rule:
    """Keys that match `pattern` whole are renamed to `name`, and `change` is applied to their tensor."""

    pattern: str
    name: str
    change: Callable[[Tensor], Tensor] = lambda tensor: tensor


@dataclass(frozen=True)
class KeyMap:
    """How one family's checkpoint is read."""

    rules: tuple[Rule, ...]
    dead: tuple[str, ...] = ()
    """Patterns of keys that published checkpoints hold and their own code never uses."""
    prepare: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict
    """What joins or drops several keys at once, before the rules."""

    def apply(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Return the state under our keys, and the dead keys that were dropped.

        Raises:
            UsageError: a key is neither known nor dead.
        """
        out: dict[str, Tensor] = {}
        dropped, unknown = [], []
        for key, tensor in self.prepare(dict(state)).items():
            if any(re.fullmatch(pattern, key) for pattern in self.dead):
                dropped.append(key)
                continue
            named = self.rename(key)
            if named is None:
                unknown.append(key)
                continue
            rule, name = named
            out[name] = rule.change(tensor)
        if unknown:
            raise UsageError(
                f"{len(unknown)} keys of the checkpoint are unknown: {', '.join(unknown[:8])}",
                "they are neither weights of this family nor on its list of dead keys",
                "check that the folder belongs to this family",
            )
        return out, dropped

    def rename(self, key: str) -> tuple[Rule, str] | None:
        """The rule and our name for a published key."""
        for rule in self.rules:
            match = re.fullmatch(rule.pattern, key)
            if match:
                return rule, match.expand(rule.name)
        return None


def check(model: torch.nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Refuse a mapped state whose keys or shapes are not the model's."""
    check_shapes(expected_shapes(model), {name: tuple(tensor.shape) for name, tensor in state.items()}, where)


def meta_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Tensors without memory for a listing of keys and shapes."""
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def vit_rules(theirs: str, ours: str) -> tuple[Rule, ...]:
    """M3D's 3D ViT (MONAI's names) as our encoder; both prefixes end in a dot or are empty."""
    block = re.escape(theirs) + r"blocks\.(\d+)\."
    mine = ours + r"blocks.\1."
    return (
        Rule(re.escape(theirs) + "cls_token", ours + "class_token"),
        Rule(re.escape(theirs) + r"patch_embedding\.position_embeddings", ours + "positions.table"),
        Rule(re.escape(theirs) + r"patch_embedding\.patch_embeddings\.1\.(.*)", ours + r"embedding.linear.\1"),
        Rule(block + r"mlp\.linear1\.(.*)", mine + r"mlp.0.\2"),
        Rule(block + r"mlp\.linear2\.(.*)", mine + r"mlp.2.\2"),
        Rule(block + r"attn\.qkv\.(.*)", mine + r"attention.qkv.\2"),
        Rule(block + r"attn\.out_proj\.(.*)", mine + r"attention.out.\2"),
        Rule(block + r"(norm[12]\..*)", mine + r"\2"),
        Rule(re.escape(theirs) + r"norm\.(.*)", ours + r"norm.\1"),
    )


def causal_rules(theirs: str = "") -> tuple[Rule, ...]:
    """A language model whose published keys are those of transformers behind a prefix."""
    own = "language_model.causal."
    return (
        Rule(re.escape(theirs) + r"(model\.(embed_tokens|layers|norm)\..*)", own + r"\1"),
        Rule(re.escape(theirs) + r"(lm_head\..*)", own + r"\1"),
    )


CAUSAL_SETTINGS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "original_max_position_embeddings",
    "rms_norm_eps",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "tie_word_embeddings",
    "rope_theta",
    "rope_scaling",
    "attention_bias",
    "hidden_act",
    "sliding_window",
)


def causal_settings(published: Mapping[str, object]) -> dict[str, object]:
    """The settings of the language model in a published config, without those of its images and its training."""
    return {name: published[name] for name in CAUSAL_SETTINGS if name in published}


def merge_lora(state: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """A training file with adapters as plain weights: W + scale * B A, scale = alpha / rank."""
    plain = {key.replace("base_model.model.", "", 1): tensor for key, tensor in state.items()}
    out = {}
    for key, tensor in plain.items():
        if ".lora_" in key:
            continue
        stem = key.removesuffix(".base_layer.weight")
        if stem != key:
            first, second = plain[f"{stem}.lora_A.default.weight"], plain[f"{stem}.lora_B.default.weight"]
            tensor = tensor + scale * second @ first
        out[key.replace(".base_layer.", ".")] = tensor
    return out
