"""What frozen convolutions make of images, kept for a whole training: a study is paid for once, not once a step."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from radfoundry.model.segmentation import PixelMaps

__all__ = ["Glance", "Glances"]


@dataclass(frozen=True)
class Glance:
    """What the frozen part of a model makes of an image."""

    coarse: Tensor
    """The coarsest map `[1, C, z, y, x]`."""
    maps: PixelMaps

    def halved(self) -> Glance:
        """The same in half the memory: large maps as float16."""
        maps = self.maps
        company = maps.company.half() if maps.company is not None else None
        return Glance(self.coarse, replace(maps, fine=maps.fine.half(), company=company))

    @property
    def nbytes(self) -> int:
        """Memory, but for the view itself."""
        held = [self.coarse, self.maps.fine]
        held += [self.maps.company] if self.maps.company is not None else []
        held += list(vars(self.maps.things).values()) if self.maps.things is not None else []
        return sum(tensor.nbytes for tensor in held)


class Glances:
    """The last glances, up to a number of bytes; an image is known again by being the same tensor."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._known: OrderedDict[int, tuple[Tensor, Glance]] = OrderedDict()

    def get(self, images: Sequence[Tensor], make: Callable[[Tensor], list[Glance]]) -> list[Glance]:
        """Return the glances at some images; those that are not kept are made now, those of one shape together."""
        new: dict[torch.Size, dict[int, Tensor]] = defaultdict(dict)
        for image in images:
            if id(image) in self._known:
                self._known.move_to_end(id(image))
            else:
                new[image.shape][id(image)] = image
        for group in new.values():
            for image, glance in zip(group.values(), make(torch.stack(list(group.values()))), strict=True):
                kept = glance.halved()
                self._known[id(image)] = (image, kept)  # held, so that no other tensor can have its id
                self._held += kept.nbytes
        found = [self._known[id(image)][1] for image in images]
        while self._held > self._limit and len(self._known) > 1:
            _, (_, old) = self._known.popitem(last=False)
            self._held -= old.nbytes
        return found
