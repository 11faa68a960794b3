"""Conversations to model inputs: the only place that knows tokens.

A conversation is a list of `Turn`s; a turn is a role ("user" or "assistant") and parts in order: text, an image, a region that
is given, or a mask or box that the answer points with. Written as ids it is

    bos  user  image*N image_end  ...text...  assistant  ...text... seg  eos  user  ...

where everything that is not text comes from a part. What stands before the first text (begin token, role, leading images)
is the prefix that all questions about a study share; `Encoded.prefix_length` says where it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model.config import Size3, VLMConfig
from radfoundry.model.regions import box_mask
from radfoundry.model.turns import Encoded, ImagePart, Part, Pointer, RegionPart, Turn, plain_text, spell_names
from radfoundry.model.vlm import ModelInputs, Queries, Regions
from radfoundry.model.vocabulary import Vocabulary

__all__ = ["Encoded", "ImagePart", "Part", "Pointer", "Processor", "RegionPart", "Turn", "plain_text"]


class Processor:
    """Writes conversations as ids, ids as text, and samples as batches; published families have subclasses."""

    def __init__(self, vocabulary: Vocabulary, config: VLMConfig) -> None:
        self.vocabulary = vocabulary
        self.special = vocabulary.special
        self.config = config
        self.stops = {self.special["eos"]}
        self.stop_texts: tuple[str, ...] = ()
        self.region_tokens = config.given.tokens if config.given is not None else 1

    @classmethod
    def for_model(cls, vocabulary: Vocabulary, config: VLMConfig) -> Processor:
        """The processor of a model of ours.

        Raises:
            UsageError: the vocabulary and the language model's embedding have different sizes.
        """
        if vocabulary.size > config.language.vocabulary:
            raise UsageError(
                f"the vocabulary has {vocabulary.size} ids, the language model {config.language.vocabulary} rows",
                "an id without a row cannot be read",
                "build the config with the vocabulary's size",
            )
        return cls(vocabulary, config)

    @staticmethod
    def train_tokenizer(texts: Iterable[str], size: int = 1024) -> Vocabulary:
        """A byte-level vocabulary of at most `size` ids learned from texts."""
        return Vocabulary.train(texts, size)

    def image_tokens(self, shape: Size3) -> int:
        """Language-model tokens of an image whose view has `shape` voxels."""
        return self.config.image_tokens(shape)

    def encode(self, turns: Sequence[Turn], shapes: Sequence[Size3], open_answer: bool = False) -> Encoded:
        """Write a conversation as ids; `shapes` are the views of its images `[z, y, x]`.

        Assistant turns are labels, their end tokens included. `open_answer` ends with the assistant's role token, ready to
        generate.

        Raises:
            UsageError: an unknown role, an image that is not there, or a pointer outside an answer.
        """
        return self._encode(spell_names(turns), shapes, open_answer)

    def _encode(self, turns: Sequence[Turn], shapes: Sequence[Size3], open_answer: bool) -> Encoded:
        """`encode` once regions without a place are words; families write theirs here."""
        out = Encoded()
        out.add([self.special["bos"]], learn=False)
        for turn in turns:
            if turn.role not in ("user", "assistant"):
                raise UsageError(f"no role {turn.role!r}", "a turn is the user's or the assistant's")
            out.add([self.special[turn.role]], learn=False)
            for part in turn.parts:
                if not out.prefix_length and not isinstance(part, ImagePart):
                    out.prefix_length = len(out.ids)
                self._write(part, turn.role == "assistant", shapes, out)
            out.prefix_length = out.prefix_length or len(out.ids)
            if turn.role == "assistant":
                out.add([self.special["eos"]], learn=True)
        if open_answer:
            out.add([self.special["assistant"]], learn=False)
        return out

    def _write(self, part: Part, answer: bool, shapes: Sequence[Size3], out: Encoded) -> None:
        if isinstance(part, str):
            out.add(self.vocabulary.encode(part), learn=answer)
            return
        if not 0 <= part.image < len(shapes):
            raise UsageError(f"the conversation speaks of image {part.image}", f"it has {len(shapes)} images")
        if isinstance(part, ImagePart):
            count = self.image_tokens(shapes[part.image])
            out.image_at.append((len(out.ids), part.image, count))
            out.add([self.special["image"]] * count + [self.special["image_end"]], learn=False)
        elif isinstance(part, RegionPart):
            out.regions.append((len(out.ids), part))
            out.add([self.special["region"]] * self.region_tokens, learn=False)
        elif answer:
            out.pointers.append((len(out.ids), part))
            out.add([self.special["seg" if part.kind == "mask" else "box"]], learn=True)
        else:
            raise UsageError(
                "a mask or box to find stands in a question", "give it as a RegionPart, or put it in the answer"
            )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, up to the end token, without special tokens."""
        end = next((i for i, token in enumerate(ids) if token in self.stops), len(ids))
        return self.vocabulary.decode(ids[:end])

    def ended(self, ids: Sequence[int]) -> bool:
        """Is an answer with these ids complete?"""
        return bool(ids) and ids[-1] in self.stops

    def boxes_in(self, text: str, shape: Size3) -> list[NDArray[np.float32]]:
        """Half-open voxel boxes that an answer spells; ours never does, it points with `[BOX]`."""
        del text, shape
        return []

    def collate(
        self, samples: Sequence[Encoded], images: Sequence[Sequence[Tensor]], left: bool = False
    ) -> ModelInputs:
        """Pad conversations to one batch; `images[i]` are the views `[channel, z, y, x]` of sample i.

        Raises:
            UsageError: a sample refers to an image that was not given.
        """
        flat = [image for row in images for image in row]
        first = np.cumsum([0, *(len(row) for row in images)])[:-1]
        return self.collate_shared(
            samples,
            flat,
            [[int(start) + i for i in range(len(row))] for start, row in zip(first, images, strict=True)],
            left,
        )

    def collate_shared(
        self,
        samples: Sequence[Encoded],
        images: Sequence[Tensor],
        image_of: Sequence[Sequence[int]],
        left: bool = False,
    ) -> ModelInputs:
        """Like `collate`, for samples that share images: image j of sample i is `images[image_of[i][j]]`."""
        length = max(len(sample.ids) for sample in samples)
        ids = np.full((len(samples), length), self.special["pad"], dtype=np.int64)
        labels, visual = np.full_like(ids, -100), np.full_like(ids, -1)
        mask = np.zeros_like(ids)
        starts = np.cumsum([self.config.extra_tokens, *(self.image_tokens(_shape(image)) for image in images)])
        regions, masks, boxes = _RegionList(int(starts[-1]), self.region_tokens), _QueryList(), _QueryList()
        for row, sample in enumerate(samples):
            shift = length - len(sample.ids) if left else 0
            span = slice(shift, shift + len(sample.ids))
            ids[row, span], labels[row, span], mask[row, span] = sample.ids, sample.labels, 1
            for at, image, count in sample.image_at:
                place = image_of[row][image]
                visual[row, shift + at : shift + at + count] = np.arange(starts[place], starts[place] + count)
            for at, extra in sample.extra:
                visual[row, shift + at] = extra
            for at, given in sample.regions:
                place = image_of[row][given.image]
                first = regions.add(given, place, _shape(images[place]))
                visual[row, shift + at : shift + at + self.region_tokens] = np.arange(first, first + self.region_tokens)
            for at, pointer in sample.pointers:
                place = image_of[row][pointer.image]
                (masks if pointer.kind == "mask" else boxes).add(
                    row, shift + at, place, _truth(pointer, _shape(images[place]))
                )
        positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
        return ModelInputs(
            list(images),
            torch.from_numpy(ids),
            torch.from_numpy(visual),
            torch.from_numpy(labels),
            torch.from_numpy(mask),
            torch.from_numpy(positions),
            regions.done(),
            masks.done(),
            boxes.done(),
        )


class _RegionList:
    """Collects given regions; their rows lie behind the image tokens of the visual table."""

    def __init__(self, first_row: int, rows: int) -> None:
        self.first_row, self.rows = first_row, rows
        self.image: list[int] = []
        self.masks: list[Tensor] = []
        self.boxes: list[Tensor] = []

    def add(self, part: RegionPart, image: int, shape: Size3) -> int:
        mask, box = region_arrays(part, shape)
        self.image.append(image)
        self.masks.append(mask)
        self.boxes.append(box)
        return self.first_row + self.rows * (len(self.image) - 1)

    def done(self) -> Regions | None:
        return Regions(torch.tensor(self.image), self.masks, torch.stack(self.boxes)) if self.image else None


class _QueryList:
    """Collects `[SEG]` or `[BOX]` positions; the truth is kept only if every one has it."""

    def __init__(self) -> None:
        self.places: list[tuple[int, int, int]] = []
        self.targets: list[Tensor | None] = []

    def add(self, row: int, token: int, image: int, target: Tensor | None) -> None:
        self.places.append((row, token, image))
        self.targets.append(target)

    def done(self) -> Queries | None:
        if not self.places:
            return None
        row, token, image = (torch.tensor(column) for column in zip(*self.places, strict=True))
        known = [target for target in self.targets if target is not None]
        return Queries(row, token, image, known if len(known) == len(self.targets) else None)


def region_arrays(part: RegionPart, shape: Size3) -> tuple[Tensor, Tensor]:
    """A given region as a mask `[z, y, x]` and a box `[6]` divided by the shape; each is made from the other if missing."""
    if part.mask is not None:
        mask = torch.from_numpy(np.asarray(part.mask, dtype=np.float32))
        box = torch.tensor(part.box_zyx, dtype=torch.float32) if part.box_zyx else tight_box(mask)
    elif part.box_zyx is not None:
        box = torch.tensor(part.box_zyx, dtype=torch.float32)
        mask = box_mask(box, shape)
    else:
        raise UsageError("a region has neither mask nor box", "the model must know where it is")
    return mask, box / torch.tensor([*shape, *shape])


def tight_box(mask: Tensor) -> Tensor:
    """The half-open voxel box `[6]` of a mask `[z, y, x]`; zeros where it is empty."""
    places = mask.nonzero()
    if not len(places):
        return torch.zeros(6)
    return torch.cat([places.min(dim=0).values, places.max(dim=0).values + 1]).float()


def _truth(pointer: Pointer, shape: Size3) -> Tensor | None:
    """The target of a pointer, if it is known."""
    if pointer.kind == "mask":
        return None if pointer.mask is None else torch.from_numpy(np.asarray(pointer.mask, dtype=np.float32))
    if pointer.box_zyx is None:
        return None
    return torch.tensor(pointer.box_zyx, dtype=torch.float32) / torch.tensor([*shape, *shape])


def _shape(image: Tensor) -> Size3:
    return (image.shape[1], image.shape[2], image.shape[3])
