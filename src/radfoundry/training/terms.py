"""Medical terms count more in a text's loss (RadFM: three times), as its paper says and its released code computes and drops.

Weights are a function of the answer's ids: where the ids of a term stand, they are set, never multiplied; a term is known as a word
at the start of a text and after a blank, small or with a capital.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from radfoundry import anatomy
from radfoundry.language.concepts import concepts
from radfoundry.model import VLM

__all__ = ["TermWeights", "medical_terms", "weigh_terms"]

_SHORTEST = 4  # letters; shorter words ("of", "and") are no terms of their own


def medical_terms() -> list[str]:
    """Return the names of findings and regions that this package knows, and the longer words in them."""
    names = {*concepts(), *(region.name for region in anatomy.regions())}
    words = {word for name in names for word in name.split() if len(word) >= _SHORTEST and word.isalpha()}
    return sorted(names | words)


class TermWeights:
    """What each token of an answer counts: `weight` inside a term, 1 elsewhere, 0 where nothing is learned."""

    def __init__(self, terms: Iterable[str], encode: Callable[[str], list[int]], weight: float) -> None:
        self.weight = weight
        self._by_first: dict[int, set[tuple[int, ...]]] = defaultdict(set)
        for term in terms:
            for written in (term, term.capitalize(), f" {term}", f" {term.capitalize()}"):
                ids = tuple(encode(written))
                self._by_first[ids[0]].add(ids)

    def of(self, labels: Sequence[int]) -> list[float]:
        """Return a weight a label; -100 has none."""
        weights = [0.0 if label == -100 else 1.0 for label in labels]
        for start, label in enumerate(labels):
            for ids in self._by_first.get(label, ()):
                if tuple(labels[start : start + len(ids)]) == ids:
                    weights[start : start + len(ids)] = [self.weight] * len(ids)
        return weights

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the cross entropy of targets `[N]`, in order and none of them -100, divided by the sum of their weights."""
        weights = torch.tensor(self.of(targets.tolist()), device=logits.device)
        entropy = F.cross_entropy(logits.float(), targets, reduction="none")
        return (weights * entropy).sum() / weights.sum().clamp_min(1)


def weigh_terms(network: VLM, terms: TermWeights) -> None:
    """From now on the network's text loss is the weighted one, packed or not."""
    network.text_loss = terms.loss
