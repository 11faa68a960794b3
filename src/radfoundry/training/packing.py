"""Study packing: each image and prefix goes through the model once, its conversations branch off it.

With encoder cost E, prefix cost P and branch cost B a question, Q questions cost Q(E + P + B) one by one and E + P + QB packed.
A branch attends to its own prefix and itself; positions go on where the prefix ends; so losses and gradients are those of separate
rows. This is the path for CPUs: the prefix runs once and the branches are batched over its keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from radfoundry.model import VLM, Encoded, Processor
from radfoundry.training.examples import StudyExample

__all__ = ["packed_losses", "separate_losses"]


def packed_losses(
    model: VLM, processor: Processor, studies: Sequence[StudyExample], device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Return the loss terms of all conversations of several studies, each study encoded once.

    Text is averaged over answer tokens, masks and boxes over their queries.
    """
    images = [look.pixels.to(device) for study in studies for look in study.looks]
    image_of = _image_places(studies)
    branches = [(number, one) for number, study in enumerate(studies) for one in study.conversations]
    prefixes = [_prefix(study.conversations[0]) for study in studies]
    heads = processor.collate_shared(prefixes, images, image_of, left=True).to(device)
    tails = processor.collate_shared([one.branch() for _, one in branches], images, [image_of[n] for n, _ in branches])
    tails = tails.to(device)
    owner = torch.tensor([number for number, _ in branches], device=device)

    seen = model.see(images, tails.regions)
    start = model.embed(heads.input_ids, heads.visual, seen)
    _, past = model.language_model.read(start, heads.attention_mask, heads.position_ids)
    lengths = heads.attention_mask.sum(dim=1)
    mask = torch.cat([heads.attention_mask[owner], tails.attention_mask], dim=1)
    positions = tails.position_ids + lengths[owner][:, None]
    words = model.embed(tails.input_ids, tails.visual, seen)
    hidden = model.language_model(words, mask, positions, past.rows(owner))
    return model.losses(hidden, seen, tails.labels, tails.masks, tails.boxes)


def separate_losses(
    model: VLM, processor: Processor, studies: Sequence[StudyExample], device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Return the same terms with every conversation in a row of its own, its images encoded again: what packing saves."""
    rows = [one for study in studies for one in study.conversations]
    images = [[look.pixels for look in study.looks] for study in studies for _ in study.conversations]
    return model(processor.collate(rows, images).to(device)).losses


def _image_places(studies: Sequence[StudyExample]) -> list[list[int]]:
    places, first = [], 0
    for study in studies:
        places.append(list(range(first, first + len(study.looks))))
        first += len(study.looks)
    return places


def _prefix(conversation: Encoded) -> Encoded:
    end = conversation.prefix_length
    return Encoded(
        conversation.ids[:end],
        [-100] * end,
        [place for place in conversation.image_at if place[0] < end],
        prefix_length=end,
    )
