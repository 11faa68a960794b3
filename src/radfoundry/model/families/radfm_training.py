"""RadFM's published training rows, weights, accuracy and batches, and its demo's image placement; for comparing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model.families.radfm import Tags, encode
from radfoundry.model.vocabulary import Codec


def place_images_demo(text: str, positions: Sequence[int], tags: Tags) -> list[str | int]:
    """The published demo's placement: before character p, later images in front at equal offsets."""
    characters: list[list[str | int]] = [[c] for c in text]
    for image, offset in enumerate(positions):
        if not -len(characters) <= offset < len(characters):
            raise UsageError(
                f"an image at offset {offset} of a text of {len(text)} characters", "no character is there"
            )
        characters[offset] = [*tags.block(image), *characters[offset]]
    return [piece for group in characters for piece in group]


def training_row(
    question: Sequence[str | int], answer: Sequence[str | int], words: Codec, base: int, length: int
) -> dict[str, list[int]]:
    """The published training row: ids, attention and labels of `length`; the end id 2 lies behind the attention."""
    ids = encode([*question, " ", *answer], words)[:length]
    asked = len(encode(question, words)[:length])
    used = len(ids)
    attention = [1] * used + [0] * (length - used)
    ids = ids + [0] * (length - used)
    if used < length:
        ids[used] = 2
    labels = [-100 if i < asked or t == 0 or t >= base else t for i, t in enumerate(ids)]
    return {"lang_x": ids, "attention_mask": attention, "labels": labels}


def entity_weights(labels: Sequence[int], entities: Sequence[Sequence[int]]) -> list[float]:
    """Published token weights: 0 without a label, 3 inside an entity's ids, else 1 (values are set, not multiplied)."""
    weights = [0.0 if label == -100 else 1.0 for label in labels]
    for entity in entities:
        n = len(entity)
        for i in range(len(labels) - n + 1):
            if n and labels[i] != -100 and list(labels[i : i + n]) == list(entity):
                weights[i : i + n] = [3.0] * n
    return weights


def weighted_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy weighted by token, divided by the sum of the weights; the published code computes and drops it."""
    entropy = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100, reduction="none"
    )
    shifted = weights[:, 1:].flatten()
    return (shifted * entropy).sum() / shifted.sum()


def whole_answers_right(logits: Tensor, labels: Tensor) -> Tensor:
    """The published accuracy: a sample counts only if every labelled token is the likeliest one."""
    wanted = labels[:, 1:]
    right = (logits[:, :-1].argmax(dim=-1) == wanted) | (wanted == -100)
    return right.all(dim=1).float().mean()


def batches(
    flat: Sequence[int], deep: Sequence[int], sizes: tuple[int, int], ranks: int, drop_last: bool = False
) -> list[list[list[int]]]:
    """The published sampler's batches per rank, for indices already in order: pure 2D or 3D, dealt in turn.

    Ranks get the same number: filled up from the list's own start or, with `drop_last`, cut at its tail.
    """
    cut: list[list[int]] = []
    for part, size in zip((flat, deep), sizes, strict=True):
        pieces = [list(part[i : i + size]) for i in range(0, len(part), size)]
        cut += [piece for piece in pieces if len(piece) == size or not drop_last]
    if drop_last:
        cut = cut[: len(cut) // ranks * ranks]
    while len(cut) % ranks:
        cut += cut[: ranks - len(cut) % ranks]
    return [cut[rank::ranks] for rank in range(ranks)]
