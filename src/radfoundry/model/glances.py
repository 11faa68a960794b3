"""What frozen convolutions make of images, kept for a whole training: a study is paid for once, not once a step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from radfoundry.model.kept import Kept
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

    def __init__(self, limit_bytes: int) -> None:
        # with the image, which is held so that no other tensor can have its id
        self._kept: Kept[tuple[Tensor, Glance]] = Kept(limit_bytes)

    def get(self, images: Sequence[Tensor], make: Callable[[Tensor], list[Glance]]) -> list[Glance]:
        """Return the glances at some images; those that are not kept are made now, those of one shape together."""
        found: dict[int, Glance] = {}
        new: dict[torch.Size, dict[int, Tensor]] = defaultdict(dict)
        for image in images:
            known = self._kept.find(id(image))
            if known is None:
                new[image.shape][id(image)] = image
            else:
                found[id(image)] = known[1]
        for group in new.values():
            for (key, image), glance in zip(group.items(), make(torch.stack(list(group.values()))), strict=True):
                found[key] = glance.halved()
                self._kept.put(key, (image, found[key]), found[key].nbytes)
        return [found[id(image)] for image in images]
