"""`see`: a model of ours learns to mark every named thing of a label map at once, from crops, before it learns to speak.

Crops cost an eighth of a volume and are cut around rare things more often than around common ones. Each voxel knows its place, and norms
are per voxel, so a crop teaches what the whole volume will be asked. No language is involved: this is the part of training that
costs most on a CPU, and what it makes of an image stays the same when the language model learns on top of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from radfoundry.corpus import Corpus
from radfoundry.errors import UsageError
from radfoundry.model import VLM, VLMConfig
from radfoundry.model.kept import Kept
from radfoundry.model.looking import look_at
from radfoundry.training.objectives import Amounts, Objective

__all__ = ["Crop", "Scenes", "See", "names_in"]

_FEWEST_IMAGES = 4  # that show a name, or it is not learned
_AIMED = 0.8  # of the crops are cut around something
_KEPT_BYTES = 4 << 30  # scenes held in memory
_WEIGHED = 200  # images from which the weights of names are counted


@dataclass(frozen=True)
class Crop:
    """A piece of a view and the number of each voxel's name, 0 for none."""

    volume: Tensor
    labels: Tensor


@dataclass(frozen=True)
class _Scene:
    """A view and what its label map names; where each name's voxels are, so that a crop can aim at one."""

    volume: Tensor
    labels: Tensor
    voxels: dict[int, npt.NDArray[np.int64]]

    @property
    def nbytes(self) -> int:
        return self.volume.nbytes + self.labels.nbytes + sum(places.nbytes for places in self.voxels.values())


def names_in(corpora: Sequence[Corpus]) -> tuple[str, ...]:
    """Return the names that label maps of the training split give to voxels in at least four images, sorted."""
    seen: Counter[str] = Counter()
    for corpus in corpora:
        told = _label_sets(corpus, "train")
        for regions in told.values():
            seen.update(set(regions.values()))
    return tuple(sorted(name for name, count in seen.items() if count >= _FEWEST_IMAGES))


def _label_sets(corpus: Corpus, split: str) -> dict[tuple[str, str], dict[int, str]]:
    """Return value -> name of the label map with the most names, for every image of a split: (image, label set) -> names."""
    studies = {study.study_id for study in corpus.rows("studies") if study.split == split}
    images = {image.image_id for image in corpus.rows("images") if image.study_id in studies}
    named: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for region in corpus.rows("regions"):
        if region.image_id in images:
            named[region.image_id][region.label_set][region.label_value] = region.name
    best = {image: max(sorted(sets), key=lambda s: len(sets[s])) for image, sets in named.items()}
    return {(image, best[image]): named[image][best[image]] for image in sorted(best)}


class Scenes:
    """The images of one split that have a label map, in a fixed order; `example` cuts a crop out of one."""

    def __init__(self, corpora: Sequence[Corpus], config: VLMConfig, split: str) -> None:
        if config.segmentation is None or not config.segmentation.names:
            raise UsageError("the model knows no names", "nothing can be marked by it unasked", "create it with names")
        self._config = config
        self._number = {name: i + 1 for i, name in enumerate(config.segmentation.names)}
        self._sets: dict[str, tuple[Corpus, str, dict[int, str]]] = {}
        for corpus in corpora:
            for (image_id, label_set), names in _label_sets(corpus, split).items():
                if image_id not in self._sets and any(name in self._number for name in names.values()):
                    self._sets[image_id] = (corpus, label_set, names)
        self._images = sorted(self._sets)
        if not self._images:
            raise UsageError(f"no image of the {split} split has a label map", "there is nothing to learn to see from")
        self._kept: Kept[_Scene] = Kept(_KEPT_BYTES)

    def __len__(self) -> int:
        return len(self._images)

    def example(self, number: int, questions: int, rng: np.random.Generator) -> Crop:
        """Return a crop of image `number`: half of the view along each axis, a picture's whole."""
        del questions
        scene = self._scene(number)
        size = [n if scene.volume.shape[1] == 1 else -(-n // 2) for n in scene.labels.shape]
        start = [_start(c, s, n, rng) for c, s, n in zip(self._aim(scene, rng), size, scene.labels.shape, strict=True)]
        cut = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
        return Crop(_varied(scene.volume[(slice(None), *cut)], rng), scene.labels[cut])

    @cached_property
    def weights(self) -> Tensor:
        """What a voxel of each name counts, `[1 + names]`: the rarer the more, the mean over names is 1."""
        counts = torch.zeros(1 + len(self._number))
        for number in range(0, len(self), max(1, len(self) // _WEIGHED)):
            counts += torch.bincount(self._scene(number).labels.flatten().long(), minlength=len(counts))
        weights = counts.clamp_min(50).pow(-0.4)
        weights[0] = weights[1:].min()
        return (weights / weights[1:].mean()).clamp(max=4)

    def _aim(self, scene: _Scene, rng: np.random.Generator) -> Sequence[float]:
        if not scene.voxels or rng.random() > _AIMED:
            return [float(rng.integers(n)) for n in scene.labels.shape]
        names = sorted(scene.voxels)
        rarity = self.weights.numpy()[names].astype(float) ** 2
        chance = rarity / rarity.sum()
        voxels = scene.voxels[names[int(rng.choice(len(names), p=chance))]]
        return [float(v) for v in voxels[int(rng.integers(len(voxels)))]]

    def _scene(self, number: int) -> _Scene:
        return self._kept.get(number, lambda: self._read(self._images[number]), lambda scene: scene.nbytes)

    def _read(self, image_id: str) -> _Scene:
        corpus, label_set, names = self._sets[image_id]
        pixels, row = corpus.image(image_id)
        look = look_at(pixels, row.grid, row.modality, self._config)
        values = look.view.labels(corpus.labelmap(image_id, label_set)).reshape(look.shape)
        numbers = np.zeros(int(values.max()) + 1, dtype=np.uint8 if len(self._number) < 255 else np.int16)
        for value, name in names.items():
            if value < len(numbers):
                numbers[value] = self._number.get(name, 0)
        labels = numbers[values]
        places = np.argwhere(labels)
        of = labels[tuple(places.T)]
        voxels = {int(n): places[of == n] for n in np.unique(of)}
        return _Scene(look.pixels, torch.from_numpy(labels), voxels)


def _start(centre: float, size: int, whole: int, rng: np.random.Generator) -> int:
    """Where a crop of `size` begins so that it holds `centre`, moved by up to a quarter; even, as the strides want."""
    if size >= whole:
        return 0
    start = round(centre - size / 2 + rng.uniform(-0.25, 0.25) * size)
    return int(np.clip(start, 0, whole - size)) // 2 * 2


def _varied(volume: Tensor, rng: np.random.Generator) -> Tensor:
    """A crop a little brighter or darker, and where the patient might have lain instead."""
    bright, places = volume[:-3], volume[-3:]
    gain, offset = 1 + 0.05 * rng.uniform(-1, 1), 0.05 * rng.uniform(-1, 1)
    moved = torch.from_numpy(rng.uniform(-0.1, 0.1, (3, 1, 1, 1)).astype(np.float32))
    return torch.cat([bright * gain + offset, places * float(1 + 0.04 * rng.uniform(-1, 1)) + moved])


class See(Objective):
    """The name of every voxel: weighed cross entropy, and one minus Dice of each name that is there."""

    def __init__(self, network: VLM, weights: Tensor) -> None:
        super().__init__()
        self.network: VLM = network
        self.weights = {"voxel": 1.0, "overlap": 1.0}
        self.register_buffer("voxel_weights", weights, persistent=False)

    def forward(self, batch: Sequence[Crop]) -> dict[str, Tensor]:
        """Return both terms, on every other row and column, other ones each time."""
        logits, names = [], []
        y, x = torch.randint(2, (2,)).tolist()
        for group in _by_shape(batch):
            volumes = torch.stack([crop.volume for crop in group]).to(self._device)
            fine = self.network.voxel_map(volumes)[:, :, :, y::2, x::2]
            logits.append(self.network.name_logits(fine.movedim(1, -1)).flatten(0, 3))
            names.append(torch.stack([crop.labels[:, y::2, x::2] for crop in group]).flatten().long())
        said, true = torch.cat(logits), torch.cat(names).to(self._device)
        weights: Tensor = self.get_buffer("voxel_weights").to(said.dtype)
        return {"voxel": F.cross_entropy(said, true, weights), "overlap": _dice_loss(said, true)}

    def counts(self, batch: Sequence[Crop]) -> dict[str, float]:
        """Crops."""
        return {"voxel": len(batch), "overlap": len(batch)}

    def amounts(self, batch: Sequence[Crop]) -> Amounts:
        """Return what some crops amount to."""
        return Amounts(len(batch), 0, sum(crop.labels.numel() for crop in batch))

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device


def _dice_loss(logits: Tensor, names: Tensor) -> Tensor:
    """One minus the overlap of chances and truth, in the mean over the names that the crops show."""
    chances = logits.float().softmax(dim=1)
    total = chances.sum(dim=0)
    count = torch.bincount(names, minlength=logits.shape[1]).to(total)
    right = torch.zeros_like(total).index_add(0, names, chances.gather(1, names[:, None])[:, 0])
    terms = 1 - (2 * right + 1) / (total + count + 1)
    return terms[count > 0].mean()


def _by_shape(batch: Iterable[Crop]) -> list[list[Crop]]:
    groups: dict[torch.Size, list[Crop]] = defaultdict(list)
    for crop in batch:
        groups[crop.volume.shape].append(crop)
    return list(groups.values())
