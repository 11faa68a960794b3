"""Study packing: each image and what conversations begin with go through the model once, the conversations branch off.

With encoder cost E, cost P of the shared beginning and cost B of a branch, Q questions cost Q(E + P + B) one by one and
E + P + QB packed. A branch attends to its own beginning and itself; positions go on where the beginning ends, and its last state
predicts the first token of every branch; so losses and gradients are those of separate rows.

Two ways to the same numbers, chosen in `packed_losses` alone. **On a trunk** (any device, the CPU's way): beginnings are read as
one batch, branches as others, behind the beginnings' keys and values (`model/attention.py`). **In rows** (a GPU's way): studies are
laid out one after another in rows of about equal length, beginning then branches, and a FlexAttention block mask says who sees whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from radfoundry.errors import UsageError
from radfoundry.model import VLM, Encoded, Processor
from radfoundry.model.attention import Layer, Trunk
from radfoundry.training.examples import StudyExample

__all__ = ["Bundle", "bundles", "fill", "packed_losses", "packed_tokens", "separate_losses"]

ROW_TOKENS = 4096


@dataclass(frozen=True)
class Bundle:
    """Conversations that begin alike: the beginning, what follows it in each, and their images' places in the batch."""

    start: Encoded
    branches: tuple[Encoded, ...]
    images: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Tokens that are read."""
        return len(self.start.ids) + sum(len(branch.ids) for branch in self.branches)


def packed_losses(
    model: VLM,
    processor: Processor,
    studies: Sequence[StudyExample],
    device: torch.device | str = "cpu",
    row_tokens: int = ROW_TOKENS,
) -> dict[str, Tensor]:
    """Return the loss terms of all conversations of several studies, each study encoded once.

    Text is averaged over answer tokens, masks and boxes over their queries. row_tokens: how long a row may be where studies are
    laid out in rows.
    """
    images = [look.pixels.to(device) for study in studies for look in study.looks]
    packed = bundles(studies)
    if torch.device(device).type == "cuda":
        return in_rows(model, processor, packed, images, device, row_tokens)
    return on_trunks(model, processor, packed, images, device)


def separate_losses(
    model: VLM, processor: Processor, studies: Sequence[StudyExample], device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Return the same terms with every conversation in a row of its own, its images encoded again: what packing saves."""
    rows = [one for study in studies for one in study.conversations]
    images = [[look.pixels for look in study.looks] for study in studies for _ in study.conversations]
    inputs = processor.collate(rows, images).to(device)
    seen = model.see(inputs.images, inputs.regions)
    words = model.embed(inputs.input_ids, inputs.visual, seen)
    hidden = model.language_model(words, inputs.attention_mask, inputs.position_ids)
    return model.losses(hidden, seen, inputs.labels, inputs.masks, inputs.boxes)


def packed_tokens(study: StudyExample) -> int:
    """Tokens that a study takes when it is packed: what a token budget counts."""
    return sum(bundle.tokens for bundle in bundles([study]))


def bundles(studies: Sequence[StudyExample]) -> list[Bundle]:
    """Put conversations of a study that begin alike together; one that begins like no other is a branch of nothing."""
    out, first = [], 0
    for study in studies:
        places = tuple(range(first, first + len(study.looks)))
        first += len(study.looks)
        alike: dict[object, list[Encoded]] = {}
        for one in study.conversations:
            start = one.prefix()
            alike.setdefault((tuple(start.ids), tuple(start.image_at), tuple(start.extra)), []).append(one)
        for group in alike.values():
            if len(group) == 1:
                out.append(Bundle(Encoded(), (group[0],), places))
            else:
                out.append(Bundle(group[0].prefix(), tuple(one.branch() for one in group), places))
    return out


def fill(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Numbers of things of these lengths in as few rows of at most `most` as first-fit finds; a longer thing has a row alone."""
    rows: list[tuple[int, list[int]]] = []
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        for place, (used, members) in enumerate(rows):
            if used + lengths[number] <= most:
                rows[place] = (used + lengths[number], [*members, number])
                break
        else:
            rows.append((lengths[number], [number]))
    return [sorted(members) for _, members in rows]


# On a trunk -------------------------------------------------------------------------------------------------------


def on_trunks(
    model: VLM, processor: Processor, packed: Sequence[Bundle], images: Sequence[Tensor], device: torch.device | str
) -> dict[str, Tensor]:
    """Loss terms with beginnings read as one batch and branches behind them."""
    branches = [(number, branch) for number, bundle in enumerate(packed) for branch in bundle.branches]
    places = [packed[number].images for number, _ in branches]
    tails = processor.collate_shared([branch for _, branch in branches], images, places).to(device)
    seen = model.see(list(images), tails.regions)
    words = model.embed(tails.input_ids, tails.visual, seen)

    starts = [number for number, bundle in enumerate(packed) if bundle.start.ids]
    layers: list[tuple[Layer, ...] | None] = [None] * len(packed)
    last: list[Tensor] = [words.new_zeros(words.shape[-1])] * len(packed)
    if starts:
        beginnings = [packed[number].start for number in starts]
        heads = processor.collate_shared(beginnings, images, [packed[number].images for number in starts], left=True)
        heads = heads.to(device)
        begun = model.embed(heads.input_ids, heads.visual, seen)
        states, past = model.language_model.read(begun, heads.attention_mask, heads.position_ids)
        pasts = past.alone([len(start.ids) for start in beginnings])
        for number, own, state in zip(starts, pasts, states[:, -1], strict=True):
            layers[number], last[number] = own.layers, state

    offsets = torch.tensor([len(packed[number].start.ids) for number, _ in branches], device=device)
    positions = offsets[:, None] + torch.arange(words.shape[1], device=device)
    parts, order = [], []
    for rows, length in _alike([len(branch.ids) for _, branch in branches]):
        trunk = Trunk.of([layers[branches[row][0]] for row in rows])
        # padding stands behind the words and is seen by none of them: causal attention needs no mask
        part = model.language_model(words[rows, :length], None, positions[rows, :length], trunk=trunk)
        parts.append(torch.nn.functional.pad(part, (0, 0, 0, words.shape[1] - length)))
        order += rows
    hidden = torch.cat(parts)[torch.tensor(order, device=device).argsort()]
    first = torch.stack([last[number] for number, _ in branches])
    before = torch.cat([first[:, None], hidden[:, :-1]], dim=1)
    return model.losses(hidden, seen, tails.labels, tails.masks, tails.boxes, before)


def _alike(lengths: Sequence[int]) -> Iterator[tuple[list[int], int]]:
    """Rows of about one length together, and that length: a long report does not make padding of short answers."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    while order:
        most = lengths[order[0]] * 3 // 2 + 16
        rows = [row for row in order if lengths[row] <= most]
        order = order[len(rows) :]
        yield sorted(rows), max(lengths[row] for row in rows)


# In rows ------------------------------------------------------------------------------------------------------------


@dataclass
class _Row:
    """Bundles laid out one after another; per token the bundle, the branch (0: beginning), the position, and what predicts it."""

    encoded: Encoded
    images: list[int]
    bundle: list[int]
    branch: list[int]
    position: list[int]
    before: list[int]

    def lay(self, number: int, bundle: Bundle) -> None:
        """Append a bundle."""
        first_image = len(self.images)
        self.images += bundle.images
        begin = len(self.encoded.ids)
        length = len(bundle.start.ids)
        for branch, part in enumerate((bundle.start, *bundle.branches)):
            at, count = len(self.encoded.ids), len(part.ids)
            self.encoded.follow(part, first_image)
            self.bundle += [number] * count
            self.branch += [branch] * count
            offset = length if branch else 0
            self.position += range(offset, offset + count)
            leads = begin + length - 1 if branch and length else at
            self.before += [leads, *range(at, at + count - 1)][:count]


def in_rows(
    model: VLM,
    processor: Processor,
    packed: Sequence[Bundle],
    images: Sequence[Tensor],
    device: torch.device | str,
    row_tokens: int = ROW_TOKENS,
) -> dict[str, Tensor]:
    """Loss terms with whole studies in rows under a block mask."""
    window, rows = model.language_model.window, []
    longest = max(len(bundle.start.ids) + len(branch.ids) for bundle in packed for branch in bundle.branches)
    if window is not None and longest > window:
        raise UsageError(f"a conversation of {longest} tokens", f"this language model attends to {window} at a time")
    for members in fill([bundle.tokens for bundle in packed], row_tokens):
        row = _Row(Encoded(), [], [], [], [], [])
        for number in members:
            row.lay(number, packed[number])
        rows.append(row)
    inputs = processor.collate_shared([row.encoded for row in rows], images, [row.images for row in rows]).to(device)
    seen = model.see(list(images), inputs.regions)
    length = inputs.input_ids.shape[1]
    columns = ([row.bundle for row in rows], [row.branch for row in rows], [row.position for row in rows])
    bundle, branch, position = (_padded(column, length, device) for column in columns)
    words = model.embed(inputs.input_ids, inputs.visual, seen)
    hidden = model.language_model(words, block_mask(bundle, branch), position.clamp_min(0))
    source = _padded([row.before for row in rows], length, device).clamp_min(0)
    before = hidden.gather(1, source[..., None].expand_as(hidden))
    return model.losses(hidden, seen, inputs.labels, inputs.masks, inputs.boxes, before)


def block_mask(bundle: Tensor, branch: Tensor) -> BlockMask:
    """Who sees whom in rows `[rows, tokens]`: what came before in one's own bundle, in its beginning or in one's own branch."""

    def sees(row: Tensor, head: Tensor, asking: Tensor, asked: Tensor) -> Tensor:
        del head
        same = (bundle[row, asking] == bundle[row, asked]) & (asking >= asked)
        return same & ((branch[row, asked] == 0) | (branch[row, asked] == branch[row, asking]))

    rows, length = bundle.shape
    return create_block_mask(sees, rows, None, length, length, device=str(bundle.device))


def _padded(rows: Sequence[Sequence[int]], length: int, device: torch.device | str) -> Tensor:
    """Rows of numbers as a tensor, -1 behind their ends."""
    return torch.tensor([[*row, *[-1] * (length - len(row))] for row in rows], device=device)
