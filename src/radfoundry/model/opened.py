"""An opened study: what was computed about it once, how large that is, and the way back to the scan."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from radfoundry.errors import UsageError
from radfoundry.geometry import Box
from radfoundry.model.language_model import Past
from radfoundry.model.looking import Look
from radfoundry.model.questions import Answer
from radfoundry.model.vlm import Seen

__all__ = ["Study"]


@dataclass
class Study:
    """An opened study: its images' features, and the keys and values of what conversations about it begin with."""

    seen: Seen
    looks: tuple[Look | None, ...] = ()
    """Per image how it was looked at, where that is known."""
    pasts: OrderedDict[Hashable, Past | None] = field(default_factory=OrderedDict)

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """The views' shapes `[z, y, x]`."""
        return self.seen.shapes

    @property
    def nbytes(self) -> int:
        """Memory that the study holds."""
        return self.seen.nbytes + sum(past.nbytes for past in self.pasts.values() if past is not None)

    def masks_back(self, answer: Answer, threshold: float = 0.5) -> list[NDArray[np.bool_]]:
        """The answer's masks on the canonical grid of its image."""
        return [self._look(answer).mask_back(mask, threshold) for mask in answer.masks]

    def boxes_back(self, answer: Answer) -> list[Box | None]:
        """The answer's boxes on the canonical grid of its image; None for an empty one."""
        return [self._look(answer).box_back(box) for box in answer.boxes]

    def _look(self, answer: Answer) -> Look:
        look = self.looks[answer.image]
        if look is None:
            raise UsageError("the way back is not known", "the study was opened with tensors", "open it with Looks")
        return look
