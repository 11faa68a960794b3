"""`clip`: images and the texts about them as pairs, contrasted over all processes; what M3D-CLIP is trained by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from radfoundry.corpus import Corpus
from radfoundry.errors import UsageError
from radfoundry.model import Processor, VLMConfig, Vocabulary
from radfoundry.model.clip import ClipConfig, ContrastiveModel, contrastive_loss
from radfoundry.model.looking import Look, look_at
from radfoundry.training.distributed import Ranks, gather_rows
from radfoundry.training.objectives import Amounts, Objective

__all__ = ["Contrast", "Pair", "Pairs", "create_clip"]

_TEXTS = ("report", "description", "summary", "retrieval")  # tasks whose answers describe a whole image
_HIGHEST_SCALE = 100.0


@dataclass(frozen=True)
class Pair:
    """An image as the model sees it, and the ids of a text about it."""

    looks: tuple[Look, ...]
    ids: tuple[int, ...]


class Pairs:
    """The images of one split of some corpora that a text speaks about, in a fixed order."""

    def __init__(self, corpora: Sequence[Corpus], vocabulary: Vocabulary, config: ClipConfig, split: str) -> None:
        self._config, self._words = config, vocabulary
        self._length = int(config.text.get("max_position_embeddings", 512))
        self._home = {row.image_id: corpus for corpus in corpora for row in corpus.rows("images")}
        told: dict[str, list[str]] = {}
        for sample in (s for corpus in corpora for s in corpus.samples(split=split)):
            if sample.task in _TEXTS and sample.image_ids and sample.turns[-1].text:
                told.setdefault(sample.image_ids[0], []).append(sample.turns[-1].text)
        self._texts = sorted(told.items())
        if not self._texts:
            raise UsageError(
                f"no image of the {split} split has a text", f"no sample is a {', '.join(_TEXTS)}",
                "radfoundry build grounded-report, description or summary",
            )  # fmt: skip

    def __len__(self) -> int:
        return len(self._texts)

    def example(self, number: int, questions: int, rng: np.random.Generator) -> Pair:
        """Return image `number` with one of its texts."""
        del questions
        image_id, texts = self._texts[number]
        pixels, row = self._home[image_id].image(image_id)
        look = look_at(pixels, row.grid, row.modality, cast(VLMConfig, self._config))  # reads family and vision alone
        return Pair((look,), text_ids(texts[int(rng.integers(len(texts)))], self._words, self._length, rng))


def text_ids(text: str, words: Vocabulary, length: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Write a text as ids between begin and end tokens; of a longer one the first sentence and drawn others, in their order."""
    room = length - 2
    ids = words.encode(text)
    if len(ids) > room:
        sentences = [part.strip() + "." for part in text.split(".") if part.strip()]
        kept = {0}
        used = len(words.encode(sentences[0]))
        for place in rng.permutation(len(sentences) - 1) + 1:
            more = len(words.encode(" " + sentences[place]))
            if used + more <= room:
                kept.add(int(place))
                used += more
        ids = words.encode(" ".join(sentences[place] for place in sorted(kept)))[:room]
    return (words.special["bos"], *ids, words.special["eos"])


class Contrast(Objective):
    """Each image nearest to its own text among those of all processes, and the other way round."""

    def __init__(self, network: ContrastiveModel, vocabulary: Vocabulary, ranks: Ranks) -> None:
        super().__init__()
        self.network: ContrastiveModel = network
        self.weights = {"contrast": 1.0}
        self._ranks, self._pad = ranks, vocabulary.special.get("pad", 0)

    def forward(self, batch: Sequence[Pair]) -> dict[str, Tensor]:
        """Return the loss over the pairs of all processes; each computes the whole of it."""
        device = self.network.logit_scale.device
        ids, mask = self._padded([pair.ids for pair in batch])
        images = self._images([pair.looks[0].pixels for pair in batch], device)
        texts = self.network.encode_text(ids.to(device), mask.to(device))[:, 0].float()
        images, texts = gather_rows(images, self._ranks), gather_rows(texts, self._ranks)
        return {"contrast": contrastive_loss(self.network.scale() * images @ texts.T)}

    def _images(self, views: Sequence[Tensor], device: torch.device) -> Tensor:
        """One vector an image; those of one shape are encoded together."""
        vectors: dict[int, Tensor] = {}
        for shape in dict.fromkeys(view.shape for view in views):
            places = [place for place, view in enumerate(views) if view.shape == shape]
            encoded = self.network.encode_image(torch.stack([views[place] for place in places]).to(device))
            vectors |= zip(places, encoded[:, 0].float(), strict=True)
        return torch.stack([vectors[place] for place in range(len(views))])

    def counts(self, batch: Sequence[Pair]) -> dict[str, float]:
        """Pairs."""
        return {"contrast": len(batch)}

    def amounts(self, batch: Sequence[Pair]) -> Amounts:
        """Return what some pairs amount to."""
        voxels = sum(pair.looks[0].pixels[0].numel() for pair in batch)
        return Amounts(len(batch), sum(len(pair.ids) for pair in batch), voxels)

    @torch.no_grad()
    def after_step(self) -> None:
        """Hold the factor of the similarities at 100 or less, as CLIP does."""
        highest = math.log(_HIGHEST_SCALE) if self.network.config.exponential_scale else _HIGHEST_SCALE
        self.network.logit_scale.clamp_(0, highest)

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        length = max(map(len, rows))
        ids = torch.tensor([[*row, *[self._pad] * (length - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        return ids, mask


def create_clip(
    preset: Callable[..., VLMConfig], texts: Iterable[str], vocabulary: int = 1024
) -> tuple[ContrastiveModel, Vocabulary]:
    """Build a fresh contrastive model with the encoder of a preset, a text encoder of its language model's size, and a vocabulary."""
    words = Processor.train_tokenizer(texts, vocabulary)
    config = preset(words.size)
    language = config.language.settings
    text = {
        "vocab_size": words.size,
        "hidden_size": language["hidden_size"],
        "num_hidden_layers": language["num_hidden_layers"],
        "num_attention_heads": language["num_attention_heads"],
        "intermediate_size": language["intermediate_size"],
        "max_position_embeddings": 512,
    }
    vision = replace(config.vision, class_token=True)
    return ContrastiveModel(ClipConfig(vision, text=text, exponential_scale=True)), words
