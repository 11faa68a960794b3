"""Any causal language model of transformers behind one small door: embeddings in, hidden states and logits out.

The keys and values of what was read are returned as plain tensors. Whoever holds them (training's packing, the answerer's
cache) gives them back as the past of some rows, or as the trunk that many rows share, with gradients if there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer

from radfoundry.errors import UsageError
from radfoundry.model.attention import ATTENTION, Layer, Trunk
from radfoundry.model.config import LanguageConfig

__all__ = ["LanguageModel", "Past", "read_language_folder"]


@dataclass(frozen=True)
class Past:
    """Keys and values of tokens already read, a pair per layer: `[rows, heads, tokens, head_width]`."""

    layers: tuple[Layer, ...]

    @property
    def length(self) -> int:
        return self.layers[0][0].shape[2]

    def rows(self, index: Tensor) -> Past:
        """The past of other rows: row i of the result is row `index[i]` of this one (repeats are allowed)."""
        return Past(tuple((key[index], value[index]) for key, value in self.layers))

    @property
    def nbytes(self) -> int:
        """Memory of all keys and values."""
        return sum(tensor.nbytes for pair in self.layers for tensor in pair)

    def alone(self, lengths: Sequence[int]) -> list[Past]:
        """Each row as a past of its own: its last tokens (of a batch that was padded on the left, the real ones)."""
        sides = [(torch.split(key, 1), torch.split(value, 1)) for key, value in self.layers]
        return [
            Past(tuple((keys[row][:, :, -n:], values[row][:, :, -n:]) for keys, values in sides))
            for row, n in enumerate(lengths)
        ]

    def cache(self) -> DynamicCache:
        """The form that transformers reads; it grows there, this object does not."""
        cache = DynamicCache()
        for key, value in self.layers:
            layer = DynamicLayer()  # type: ignore[no-untyped-call]
            layer.lazy_initialization(key, value)
            layer.keys, layer.values = key, value
            cache.layers.append(layer)
        return cache


class LanguageModel(nn.Module):
    """A causal language model built from a config alone."""

    def __init__(self, config: LanguageConfig, attention: str = ATTENTION) -> None:
        super().__init__()
        self.config = config
        settings = AutoConfig.for_model(config.model_type, **config.settings)
        settings.use_cache = False
        self.causal: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            settings, attn_implementation=attention
        )
        if config.tuning == "frozen":
            self.causal.requires_grad_(False)
        elif config.tuning == "lora":
            add_lora(self.causal, config)
        elif config.tuning != "full":
            raise UsageError(f"no tuning {config.tuning!r}", "a language model is tuned full, by lora, or stays frozen")

    def embed(self, ids: Tensor) -> Tensor:
        """Input embeddings `[..., D]` of token ids."""
        return cast(Tensor, self.causal.get_input_embeddings()(ids))

    def forward(
        self,
        embeddings: Tensor,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past: Past | None = None,
        trunk: Trunk | None = None,
    ) -> Tensor:
        """Read embeddings `[B, T, D]` after `past`, and behind the trunk; return the hidden states after the final norm.

        `attention_mask` is `[B, past + T]` (1 = attend), or anything that transformers' attention takes (a 4-axis mask,
        a FlexAttention block mask); the trunk is no part of it.
        """
        cache = past.cache() if past is not None else None
        return self._run(embeddings, attention_mask, position_ids, cache, trunk)

    def read(
        self,
        embeddings: Tensor,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past: Past | None = None,
        trunk: Trunk | None = None,
    ) -> tuple[Tensor, Past]:
        """Like `forward`, and return the past with these tokens in it."""
        cache = past.cache() if past is not None else DynamicCache()
        hidden = self._run(embeddings, attention_mask, position_ids, cache, trunk)
        layers = cast(list[DynamicLayer], cache.layers)
        return hidden, Past(tuple((cast(Tensor, layer.keys), cast(Tensor, layer.values)) for layer in layers))

    def _run(
        self,
        embeddings: Tensor,
        mask: Any,
        position_ids: Tensor | None,
        cache: DynamicCache | None,
        trunk: Trunk | None = None,
    ) -> Tensor:
        reached: set[int] = set()
        shared = {"trunk": trunk, "reached": reached} if trunk is not None else {}
        out = self.causal.base_model(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=cache is not None,
            **shared,
        )
        if trunk is not None and len(reached) < int(self.causal.config.num_hidden_layers):
            raise UsageError(
                f"{self.config.model_type} cannot share what was read before",
                "its layers do not hand down what attention is given",
                "use a language model of the Llama, Qwen, Phi or Gemma families",
            )
        return cast(Tensor, out.last_hidden_state)

    @property
    def window(self) -> int | None:
        """Tokens that its narrowest layer attends to at a time; None for all."""
        return cast(int | None, getattr(self.causal.config, "sliding_window", None))

    @property
    def head(self) -> nn.Module:
        """The layer that turns hidden states into logits."""
        return cast(nn.Module, self.causal.get_output_embeddings())  # type: ignore[no-untyped-call]

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits `[..., vocabulary]`."""
        return cast(Tensor, self.head(hidden))


def add_lora(model: PreTrainedModel, config: LanguageConfig) -> None:
    """Freeze `model` and put low-rank adapters beside every linear layer but the head."""
    from peft import LoraConfig, inject_adapter_in_model

    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    targets = sorted(
        name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head
    )
    model.requires_grad_(False)
    inject_adapter_in_model(
        LoraConfig(
            r=config.lora_rank, lora_alpha=config.lora_alpha, lora_dropout=config.lora_dropout, target_modules=targets
        ),
        model,
    )


def read_language_folder(folder: Path, tuning: str = "lora") -> tuple[LanguageConfig, dict[str, Tensor]]:
    """Read a transformers folder (config and safetensors) as a config and a state dict for `LanguageModel.causal`.

    Raises:
        UsageError: the folder needs code of its own, or has no safetensors.
    """
    try:
        settings = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, use_safetensors=True, dtype="auto"
        )
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder} is no language model that transformers knows",
            str(error).splitlines()[0],
            "use a folder with config.json and safetensors, without code of its own",
        ) from error
    values = settings.to_diff_dict()
    values.pop("model_type", None)
    values.update(hidden_size=settings.hidden_size, vocab_size=settings.vocab_size)
    state: dict[str, Tensor] = model.state_dict()
    return LanguageConfig(settings.model_type, values, tuning=tuning), state


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean next-token cross entropy in float32 over targets that are not -100; 0 if there is none."""
    total = F.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), ignore_index=-100, reduction="sum")
    return total / (targets != -100).sum().clamp_min(1)
