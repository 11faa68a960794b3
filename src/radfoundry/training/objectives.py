"""What a step learns: `Instruct` (answers in text, boxes and masks; `align` is the same with all but the connector frozen).

An objective is a module around the network, so that processes can average its gradients. It returns loss terms that are means, and
says of how many things, so that the mean over several processes is that over all their things and not that of their means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from radfoundry.errors import UsageError
from radfoundry.model import VLM, Encoded, Processor
from radfoundry.model.clip import ContrastiveModel
from radfoundry.model.language_model import add_lora
from radfoundry.training.examples import StudyExample
from radfoundry.training.packing import packed_losses
from radfoundry.training.terms import TermWeights, medical_terms, weigh_terms

__all__ = ["Amounts", "Instruct", "Objective", "PARTS", "adapt", "learn_only", "training_mode"]

PARTS = ("vision", "connector", "pointing", "embeddings", "head", "language", "adapters", "text")


@dataclass(frozen=True)
class Amounts:
    """How much a step works on: what rates are counted in."""

    questions: int
    tokens: int
    """Of the language model, shared ones once."""
    voxels: int


class Objective(nn.Module, ABC):
    """A network and the loss terms of a batch."""

    network: VLM | ContrastiveModel
    weights: Mapping[str, float]
    """Every term that there may be, and what it counts in the sum."""

    @abstractmethod
    def forward(self, batch: Sequence[Any]) -> dict[str, Tensor]:
        """Return the terms, each a mean."""

    @abstractmethod
    def counts(self, batch: Sequence[Any]) -> dict[str, float]:
        """Return of how many things each term of a batch is the mean."""

    @abstractmethod
    def amounts(self, batch: Sequence[Any]) -> Amounts:
        """Return what a batch amounts to."""

    def after_step(self) -> None:
        """Keep in bounds what has bounds."""


class Instruct(Objective):
    """Answers in text, boxes and masks; each study is encoded once for all its conversations."""

    def __init__(
        self,
        network: VLM,
        processor: Processor,
        *,
        mask_weight: float = 1.0,
        box_weight: float = 0.25,
        term_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.network: VLM = network
        self.processor = processor
        self.weights = {"text": 1.0, "mask": mask_weight, "box": box_weight}
        self.terms: TermWeights | None = None
        if term_weight != 1:
            self.terms = TermWeights(medical_terms(), processor.vocabulary.encode, term_weight)
            weigh_terms(network, self.terms)

    def forward(self, batch: Sequence[StudyExample]) -> dict[str, Tensor]:
        """Return the terms of some studies."""
        return packed_losses(self.network, self.processor, batch, next(self.network.parameters()).device)

    def counts(self, batch: Sequence[StudyExample]) -> dict[str, float]:
        """Answer tokens (what they weigh, if terms weigh more), masks and boxes."""
        talks = [talk for study in batch for talk in study.conversations]
        pointers = [pointer for talk in talks for _, pointer in talk.pointers]
        return {
            "text": sum(self._learned(talk) for talk in talks),
            "mask": sum(pointer.kind == "mask" for pointer in pointers),
            "box": sum(pointer.kind == "box" for pointer in pointers),
        }

    def amounts(self, batch: Sequence[StudyExample]) -> Amounts:
        """Return what some studies amount to, packed."""
        tokens = sum(
            len(talk.ids) - (talk.prefix_length if number else 0)
            for study in batch
            for number, talk in enumerate(study.conversations)
        )
        voxels = sum(look.pixels[0].numel() for study in batch for look in study.looks)
        return Amounts(sum(len(study.conversations) for study in batch), tokens, voxels)

    def _learned(self, talk: Encoded) -> float:
        return sum(self.terms.of(talk.labels)) if self.terms else sum(label != -100 for label in talk.labels)


def learn_only(network: VLM | ContrastiveModel, parts: Collection[str]) -> None:
    """Freeze everything but these parts (of `PARTS`); all of them learn if none is named.

    "embeddings" and "head" are the language model's first and last layer, "language" all of it but these, "adapters" its low-rank
    ones alone, "pointing" what makes masks and boxes and reads given regions, "text" a contrastive model's text encoder.

    Raises:
        UsageError: a part is unknown, or nothing is left that could learn.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise UsageError(f"a model has no part {', '.join(unknown)}", f"its parts are {', '.join(PARTS)}")
    if not parts:
        return
    network.requires_grad_(False)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(_part(network, name, parameter) in parts)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UsageError(f"nothing learns of this model: it has no {', '.join(sorted(parts))}")


def _part(network: nn.Module, name: str, parameter: nn.Parameter) -> str:
    first = name.split(".", 1)[0]
    if first == "language_model":
        language = network.get_submodule("language_model")
        if "lora_" in name:
            return "adapters"
        causal: Any = language.get_submodule("causal")
        if parameter is causal.get_input_embeddings().weight:
            return "embeddings"
        head = causal.get_output_embeddings()
        return "head" if head is not None and parameter is head.weight else "language"
    names = {"decoder": "pointing", "regions": "pointing", "extra": "embeddings", "text_projection": "text"}
    names |= {"vision_projection": "vision", "logit_scale": "connector"}
    return names.get(first, first)


def adapt(network: VLM, tuning: str, *, rank: int = 16, alpha: int = 32, dropout: float = 0.05) -> None:
    """Tune a network's language model by low-rank adapters ("lora"), in full, or not at all ("frozen")."""
    before = network.config.language
    if before.tuning == "lora" and tuning == "lora":
        return
    if before.tuning == "lora":
        raise UsageError(
            "the model already has adapters", f"its language model would be tuned {tuning}",
            "train with the adapters it has, or start from the checkpoint without them",
        )  # fmt: skip
    config = replace(before, tuning=tuning, lora_rank=rank, lora_alpha=alpha, lora_dropout=dropout)
    if tuning == "lora":
        add_lora(network.language_model.causal, config)
    else:
        network.language_model.causal.requires_grad_(tuning == "full")
    network.config = replace(network.config, language=config)
    network.language_model.config = config


def training_mode(network: nn.Module) -> None:
    """Put a network into training mode, but for its frozen parts: their dropout would be noise that nothing can learn from."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def trained(network: nn.Module) -> Iterable[nn.Parameter]:
    """Return the parameters that learn."""
    return (parameter for parameter in network.parameters() if parameter.requires_grad)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context of forward passes: bfloat16 on GPUs unless told otherwise, float32 on CPUs."""
    if precision not in ("auto", "bfloat16", "float32"):
        raise UsageError(f"no precision {precision!r}", "there are auto, bfloat16 and float32")
    half = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=half)
