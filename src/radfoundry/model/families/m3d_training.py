"""M3D-LaMed's published training and generation calls: rows and labels, mask losses, which state prompts a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from radfoundry.model.families.m3d import splice
from radfoundry.model.vlm import VLM


@dataclass(frozen=True)
class Sample:
    """One training row: ids, labels and attention, all of the same length."""

    ids: list[int]
    labels: list[int]
    attention: list[int]


def training_row(question: Sequence[int], joined: Sequence[int], length: int, pad: int, eos: int) -> Sample:
    """The published rule: pad to `length`, put the end token behind the text without attention, hide the question.

    `question` and `joined` are the ids of the question alone and of question, space and answer, begin token included.
    Every label equal to `pad` is hidden, which for pad = unknown hides unknown words of the answer too.
    """
    ids = list(joined[:length])
    used = len(ids)
    attention = [1] * used + [0] * (length - used)
    ids += [pad] * (length - used)
    if used < length:
        ids[used] = eos
    hidden = min(len(question), length)
    labels = [-100] * hidden + ids[hidden:]
    labels = [-100 if label == pad else label for label in labels]
    if pad == eos and used < length:
        labels[used] = eos
    return Sample(ids, labels, attention)


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Published soft Dice loss; smoothing in the denominator alone, so an empty pair costs 1."""
    chance, truth = logits.sigmoid().flatten(1), targets.clamp_min(0).float().flatten(1)
    overlap = 2 * (chance * truth).sum(dim=1) / (chance.sum(dim=1) + truth.sum(dim=1) + 1)
    return (1 - overlap).mean()


def entropy_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Published voxel loss: mean binary cross entropy, -1 counts as background."""
    return F.binary_cross_entropy_with_logits(logits, targets.clamp_min(0).float())


def prompt_states(hidden: Tensor, ids: Tensor, seg: int) -> Tensor:
    """Per sample the mean of the states that predict `[SEG]` `[B, D]`; zeros where there is none."""
    hits = F.pad(ids[:, 1:] == seg, (0, 1)).to(hidden.dtype)
    return (hits[..., None] * hidden).sum(dim=1) / hits.sum(dim=1, keepdim=True).clamp_min(1)


def segment(model: VLM, volumes: Tensor, states: Tensor) -> Tensor:
    """Mask logits `[B, 1, z, y, x]` of one state `[D]` for each volume."""
    decoder: Any = model.decoder
    maps = decoder.decode(volumes)
    masks = [decoder.masks(one, state[None]) for one, state in zip(maps, states, strict=True)]
    return torch.stack(masks)


def training_losses(
    model: VLM, volumes: Tensor, ids: Tensor, attention: Tensor, labels: Tensor, masks: Tensor, seg: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Language, Dice and voxel losses of the published training step, and the language logits.

    Only samples with a non-empty mask are segmented; the mean of the mask losses is over those.
    """
    tokens = model.config.image_tokens(model.config.vision.size)
    seen = model.see(list(volumes))
    hidden = model.language_model(model.embed(ids, splice(ids, tokens), seen), attention)
    out = model.answer(hidden, seen, labels, None, None)
    present = masks.flatten(1).sum(dim=1) != 0
    losses = {"text": out.losses["text"]}
    if present.any():
        logits = segment(model, volumes[present], prompt_states(hidden, ids, seg)[present])
        losses |= {"dice": dice_loss(logits, masks[present]), "bce": entropy_loss(logits, masks[present])}
    return losses, out.logits


def generated_states(states: Tensor, ids: Tensor, seg: int) -> tuple[Tensor, Tensor]:
    """Prompt states of generated answers, and which samples have one.

    `states[:, j]` is the state that predicted `ids[:, j]`. As published, a `[SEG]` that is the very first new token is
    not seen; several are averaged.
    """
    hits = (ids == seg).to(states.dtype)
    hits[:, 0] = 0
    count = hits.sum(dim=1, keepdim=True)
    return (hits[..., None] * states).sum(dim=1) / count.clamp_min(1), count[:, 0] > 0
