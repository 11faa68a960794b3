"""The vision-language model: images and token ids in, loss terms, logits, masks and boxes out.

How training calls it::

    inputs = processor.collate([processor.encode(turns, shapes), ...], [[volume, ...], ...])
    outputs = model(inputs)                # ModelOutputs
    loss = sum(weights[name] * term for name, term in outputs.losses.items())     # "text", "mask", "box"

`inputs.images` is a list of float32 `[channel, z, y, x]` (any sizes; pictures have z = 1), `input_ids` and `labels` are
`[rows, tokens]` (a label stands at its own token and is predicted from the one before; -100 has no loss). `visual`
says for each position which row of the visual table replaces the word embedding, -1 for none; the table is all
image tokens, image after image, then one row per given region (a family's extra tokens come before all that).
`masks` and `boxes` name positions of `[SEG]` and `[BOX]` tokens, the image they speak about and, in training, the truth
on that image's view.

Packing uses the same parts one by one, so that an image and a prefix are paid for once::

    seen = model.see(images, regions)                       # encode; seen.table is the visual table
    _, past = model.language_model.read(model.embed(prefix_ids, prefix_visual, seen))
    trunk = Trunk(((past.layers, branches),))                # and so on, study after study
    hidden = model.language_model(model.embed(ids, visual, seen), None, positions, trunk=trunk)
    losses = model.losses(hidden, seen, labels, masks, boxes)

(gradients flow through the trunk). A FlexAttention block mask may be given instead, as `mask`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from radfoundry.errors import UsageError
from radfoundry.model.attention import ATTENTION
from radfoundry.model.config import Size3, VLMConfig
from radfoundry.model.connector import Connector
from radfoundry.model.glances import Glance, Glances
from radfoundry.model.language_model import LanguageModel, cross_entropy
from radfoundry.model.regions import build_regions
from radfoundry.model.segmentation import LightDecoder, PixelMaps, mask_losses
from radfoundry.model.segvol import SegVol, VolumeMaps
from radfoundry.model.vision import ConvolutionalStem, VisionFeatures, VisionTransformer, build_vision

__all__ = ["VLM", "ModelInputs", "ModelOutputs", "Queries", "Regions", "Seen"]


@dataclass
class Regions:
    """Regions that are given to the model."""

    image: Tensor
    """`[R]` index of the image."""
    masks: list[Tensor]
    """Per region `[z, y, x]` on the image's view, 0..1."""
    boxes: Tensor
    """`[R, 6]` half-open, divided by the view's shape."""


@dataclass
class Queries:
    """`[SEG]` or `[BOX]` tokens: where they stand, which image they speak about, what is true."""

    row: Tensor
    token: Tensor
    image: Tensor
    targets: list[Tensor] | None = None
    """Masks `[z, y, x]` on the view, or boxes `[6]` divided by the view's shape."""


@dataclass
class ModelInputs:
    """One batch; see the module's docstring."""

    images: list[Tensor]
    input_ids: Tensor
    visual: Tensor
    labels: Tensor
    attention_mask: Tensor
    """`[rows, tokens]`, 1 for tokens and 0 for padding."""
    position_ids: Tensor
    regions: Regions | None = None
    masks: Queries | None = None
    boxes: Queries | None = None

    def to(self, device: torch.device | str) -> ModelInputs:
        """Copy every tensor to a device."""
        return cast(ModelInputs, _to(self, device))


def _to(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list):
        return [_to(item, device) for item in value]
    if isinstance(value, ModelInputs | Regions | Queries):
        return replace(value, **{name: _to(item, device) for name, item in vars(value).items()})
    return value


@dataclass
class ModelOutputs:
    """What a forward pass gives; masks and boxes are in the order of the queries."""

    losses: dict[str, Tensor]
    logits: Tensor
    mask_logits: list[Tensor] = field(default_factory=list)
    boxes: Tensor | None = None

    @property
    def loss(self) -> Tensor:
        """The sum of the terms."""
        return cast(Tensor, sum(self.losses.values()))


@dataclass
class Seen:
    """Encoded images: the visual table for the language model, the features and (lazily) the decoded maps."""

    table: Tensor
    features: list[VisionFeatures]
    volumes: list[Tensor]
    maps: dict[int, PixelMaps | VolumeMaps] = field(default_factory=dict)

    @property
    def shapes(self) -> list[Size3]:
        """The views' shapes `[z, y, x]`."""
        return [cast(Size3, tuple(volume.shape[1:])) for volume in self.volumes]

    @property
    def nbytes(self) -> int:
        """Memory of views, features, tokens and maps."""
        held = [*self.volumes, self.table]
        for feature in self.features:
            held += [feature.tokens, *feature.skips]
        for maps in self.maps.values():
            held += [value for value in vars(maps).values() if isinstance(value, Tensor)]
        return sum(tensor.nbytes for tensor in held)

    @classmethod
    def join(cls, parts: Sequence[Seen], extra_tokens: int = 0) -> Seen:
        """The images of several as one, image after image; all tables begin with the same extra tokens."""
        if len(parts) == 1:
            return parts[0]
        tables = [part.table[extra_tokens if number else 0 :] for number, part in enumerate(parts)]
        features = [feature for part in parts for feature in part.features]
        volumes = [volume for part in parts for volume in part.volumes]
        maps: dict[int, PixelMaps | VolumeMaps] = {}
        first = 0
        for part in parts:
            maps |= {first + i: map_ for i, map_ in part.maps.items()}
            first += len(part.volumes)
        return cls(torch.cat(tables), features, volumes, maps)


class VLM(nn.Module):
    """Vision encoder, connector, language model, and a decoder for masks and boxes."""

    def __init__(self, config: VLMConfig, attention: str = ATTENTION) -> None:
        super().__init__()
        self.config = config
        width = config.language.width
        self.vision = build_vision(config.vision)
        self.connector = Connector(config.connector, config.vision.out_width, width)
        self.language_model = LanguageModel(config.language, attention)
        self.memory: Glances | None = None
        self.text_loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy
        """Logits `[N, vocabulary]` and labels `[N]`, none of them -100, to a mean; another may be put here."""
        extra = config.extra_tokens
        self.extra = nn.Parameter(torch.randn(extra, width) * 0.02) if extra else None
        given = config.given
        self.regions = build_regions(given, config.vision, width) if given is not None else None
        self.decoder: LightDecoder | SegVol | None = None
        if config.segmentation is not None and config.segmentation.kind == "segvol":
            self.decoder = SegVol(config.segmentation, config.vision, width)
        elif config.segmentation is not None:
            self.decoder = LightDecoder(config.segmentation, config.vision, width)

    def forward(self, inputs: ModelInputs) -> ModelOutputs:
        """Encode, read, and answer one batch of rows."""
        seen = self.see(inputs.images, inputs.regions)
        embeddings = self.embed(inputs.input_ids, inputs.visual, seen)
        hidden = self.language_model(embeddings, inputs.attention_mask, inputs.position_ids)
        return self.answer(hidden, seen, inputs.labels, inputs.masks, inputs.boxes)

    def remember(self, limit_bytes: int) -> None:
        """While convolutions and voxel map are frozen, keep in training what they make of images."""
        self.memory = Glances(limit_bytes)

    def see(self, images: list[Tensor], regions: Regions | None = None) -> Seen:
        """Encode images (those of one shape together) and given regions."""
        if self.training and isinstance(self.decoder, LightDecoder):
            self.decoder.draw_sample()
        remembered = self.training and self.memory is not None and self.frozen_sight
        glances = self.memory.get(images, self.glance) if self.memory is not None and remembered else None
        features: list[VisionFeatures | None] = [None] * len(images)
        tokens: list[Tensor | None] = [None] * len(images)
        maps: dict[int, PixelMaps | VolumeMaps] = {i: glance.maps for i, glance in enumerate(glances or ())}
        for group in _groups([tuple(image.shape) for image in images]):
            if glances is None:
                batch = self.vision(torch.stack([images[i] for i in group]))
                if self.names_things:
                    maps |= zip(group, self._light.decode(batch), strict=True)
            else:
                batch = self.think(torch.cat([glances[i].coarse for i in group]))
            joined = self.connector(batch)
            for place, i in enumerate(group):
                features[i], tokens[i] = batch.image(place), joined[place]
                if self.names_things:
                    tokens[i] = torch.cat([joined[place], self._light.thing_tokens(cast(PixelMaps, maps[i]))])
        done = cast(list[VisionFeatures], features)
        seen = Seen(self._table(cast(list[Tensor], tokens)), done, images, maps)
        if regions is not None and len(regions.masks):
            seen.table = torch.cat([seen.table, self.region_tokens(seen, regions)])
        return seen

    @torch.no_grad()
    def glance(self, volumes: Tensor) -> list[Glance]:
        """What convolutions and voxel map make of some `[B, channel, z, y, x]`."""
        maps = cast(ConvolutionalStem, self.vision.embedding).maps(volumes)
        unseen = VisionFeatures(volumes.new_zeros(len(volumes), 0, self.config.vision.width), (1, 1, 1), maps)
        return [Glance(*pair) for pair in zip(torch.split(maps[-1], 1), self._light.decode(unseen), strict=True)]

    def voxel_map(self, volumes: Tensor) -> Tensor:
        """The decoder's map `[B, channels, z, y, x]` of volumes or crops `[B, inputs, z, y, x]`, without the rest of the encoder."""
        return cast(Tensor, self._light.pyramid(cast(ConvolutionalStem, self.vision.embedding).maps(volumes)))

    def name_logits(self, voxels: Tensor) -> Tensor:
        """What each voxel `[..., channels]` of that map is: `[..., 1 + names]`, nothing first."""
        return cast(Tensor, cast(nn.Linear, self._light.names)(voxels))

    def think(self, coarse: Tensor) -> VisionFeatures:
        """Go on from the coarsest map `[B, C, z, y, x]` of the encoder's convolutions."""
        stem = cast(ConvolutionalStem, self.vision.embedding)
        grid = cast(Size3, tuple(coarse.shape[2:]))
        return cast(VisionTransformer, self.vision).think(stem.tokens((coarse,)), grid, ())

    @property
    def names_things(self) -> bool:
        """Does the decoder mark what it knows, so that things are tokens?"""
        return isinstance(self.decoder, LightDecoder) and self.decoder.names is not None

    @property
    def sight(self) -> nn.ModuleList:
        """The parts that mark what they know: convolutions, voxel map, names. They learn to see before others learn to speak."""
        stem = cast(ConvolutionalStem, self.vision.embedding)
        return nn.ModuleList([stem.levels, self._light.pyramid, cast(nn.Linear, self._light.names)])

    @property
    def frozen_sight(self) -> bool:
        """Do these parts stay as they are, so that a glance at an image need not be repeated?"""
        return self.names_things and not any(weight.requires_grad for weight in self.sight.parameters())

    @property
    def _light(self) -> LightDecoder:
        return cast(LightDecoder, self.decoder)

    def encode_image(self, volume: Tensor) -> tuple[VisionFeatures, Tensor]:
        """Encode one `[channel, z, y, x]`: the encoder's features and the language-model tokens `[M, D]`."""
        seen = self.see([volume])
        return seen.features[0], seen.table

    def region_tokens(self, seen: Seen, regions: Regions) -> Tensor:
        """Visual-table rows of given regions, `config.given.tokens` each."""
        if self.regions is None:
            raise UsageError("this model does not take regions", "it was built without a segmentation config")
        rows = []
        for place, mask in enumerate(regions.masks):
            image = int(regions.image[place])
            box = regions.boxes[place : place + 1]
            if self.names_things:
                rows.append(self._light.region_tokens(cast(PixelMaps, seen.maps[image]), mask[None]))
                continue
            kind = seen.features[image].tokens.dtype
            rows.append(
                self.regions(seen.features[image], mask[None].to(kind), box.to(kind), self.connector.projection)
            )
        return torch.cat(rows)

    def embed(self, input_ids: Tensor, visual: Tensor, seen: Seen) -> Tensor:
        """Word embeddings `[B, T, D]` with the visual table's rows gathered into their places."""
        words = self.language_model.embed(input_ids)
        if not len(seen.table):
            return words
        rows = seen.table.to(words.dtype)[visual.clamp_min(0)]
        return torch.where((visual >= 0)[..., None], rows, words)

    def answer(
        self, hidden: Tensor, seen: Seen, labels: Tensor, masks: Queries | None, boxes: Queries | None
    ) -> ModelOutputs:
        """Logits of all positions, masks and boxes of the queries, and the losses whose truth is given."""
        out = ModelOutputs({}, self.language_model.logits(hidden))
        out.losses["text"] = cross_entropy(out.logits[:, :-1], labels[:, 1:])
        before = torch.cat([hidden[:, :1], hidden[:, :-1]], dim=1)
        self._point(hidden, before, seen, masks, boxes, out)
        return out

    def losses(
        self,
        hidden: Tensor,
        seen: Seen,
        labels: Tensor,
        masks: Queries | None = None,
        boxes: Queries | None = None,
        before: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss terms alone; the head runs only where a label is predicted.

        `before` holds for each position the state that predicts it, where that is not simply the one to its left.
        """
        before = torch.cat([hidden[:, :1], hidden[:, :-1]], dim=1) if before is None else before
        wanted = labels != -100
        out = ModelOutputs({}, hidden)
        out.losses["text"] = self.text_loss(self.language_model.logits(before[wanted]), labels[wanted])
        self._point(hidden, before, seen, masks, boxes, out)
        return out.losses

    def _point(
        self,
        hidden: Tensor,
        before: Tensor,
        seen: Seen,
        masks: Queries | None,
        boxes: Queries | None,
        out: ModelOutputs,
    ) -> None:
        """Fill in masks, boxes and their losses."""
        if masks is not None and len(masks.row):
            predicted = self.config.segmentation is not None and self.config.segmentation.predicted
            prompts = (before if predicted else hidden)[masks.row, masks.token]
            if masks.targets is not None:
                out.losses["mask"] = self.mask_terms(prompts, masks.image, seen, masks.targets).mean()
            if not self.training:
                out.mask_logits = self.mask_logits(prompts, masks.image, seen)
        if boxes is not None and len(boxes.row):
            out.boxes, terms = self.box_coordinates(hidden[boxes.row, boxes.token], boxes.image, seen, boxes.targets)
            if terms is not None:
                out.losses["box"] = terms.mean()

    def mask_logits(self, prompts: Tensor, image: Tensor, seen: Seen) -> list[Tensor]:
        """Mask logits `[z, y, x]` for prompts `[Q, D]`, each about its image; an image is decoded once."""
        decoder, wanted = self.decode(seen, image), sorted(set(image.tolist()))
        out: list[Tensor] = [prompts.new_zeros(0)] * len(prompts)
        for i in wanted:
            places = (image == i).nonzero()[:, 0]
            masks = decoder.masks(cast(Any, seen.maps[i]), prompts[places])
            for place, mask in zip(places.tolist(), masks, strict=True):
                out[place] = mask
        return out

    def mask_terms(self, prompts: Tensor, image: Tensor, seen: Seen, targets: Sequence[Tensor]) -> Tensor:
        """Losses of masks `[Q]`, those of one image together, in no particular order."""
        decoder, terms = self.decode(seen, image), []
        for i in sorted(set(image.tolist())):
            places = (image == i).nonzero()[:, 0]
            truth = torch.stack([targets[place] for place in places.tolist()])
            maps = seen.maps[i]
            if isinstance(decoder, LightDecoder):
                terms.append(decoder.mask_terms(cast(PixelMaps, maps), prompts[places], truth))
            else:
                terms.append(mask_losses(decoder.masks(cast(Any, maps), prompts[places]), truth))
        return torch.cat(terms)

    def box_coordinates(
        self, prompts: Tensor, image: Tensor, seen: Seen, targets: list[Tensor] | None = None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Boxes `[Q, 6]` from 0 to 1 of their images' views (not while training) and, with truth, the loss of each."""
        decoder = self.decode(seen, image)
        if not isinstance(decoder, LightDecoder):
            raise UsageError("this model has no box head", "its family writes boxes as text")
        places_done, found, terms = [], [], []
        for i in sorted(set(image.tolist())):
            places = (image == i).nonzero()[:, 0]
            maps = cast(PixelMaps, seen.maps[i])
            places_done.append(places)
            if targets is not None:
                truth = torch.stack([targets[place] for place in places.tolist()])
                terms.append(decoder.box_terms(maps, prompts[places], truth))
            if not self.training:
                found.append(decoder.boxes(maps, prompts[places]))
        order = torch.cat(places_done).argsort()
        return torch.cat(found)[order] if found else None, torch.cat(terms)[order] if terms else None

    def decode(self, seen: Seen, image: Tensor) -> LightDecoder | SegVol:
        """Make the maps of these images, those of one shape together, unless they are there; return the decoder."""
        if self.decoder is None:
            raise UsageError("this model has no masks or boxes", "it was built without a segmentation config")
        new = [i for i in sorted(set(image.tolist())) if i not in seen.maps]
        for group in _groups([seen.shapes[i] for i in new]):
            members = [new[place] for place in group]
            maps: Sequence[PixelMaps | VolumeMaps]
            if isinstance(self.decoder, SegVol):
                maps = self.decoder.decode(torch.stack([seen.volumes[i] for i in members]))
            else:
                batch = VisionFeatures.join([seen.features[i] for i in members])
                maps = self.decoder.decode(batch)
            seen.maps.update(zip(members, maps, strict=True))
        return self.decoder

    def _table(self, tokens: list[Tensor]) -> Tensor:
        parts = tokens if self.extra is None else [self.extra.to(tokens[0].dtype) if tokens else self.extra, *tokens]
        return torch.cat(parts) if parts else next(self.parameters()).new_zeros(0, self.config.language.width)


def _groups(shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Indices grouped by shape, in order of first appearance."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(i)
    return list(groups.values())
