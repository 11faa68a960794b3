"""Where images, label maps and regions are found by their ids: among uploads, in the corpus, and among what answers drew."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.errors import RowError
from radfoundry.records import Region
from radfoundry.serving.corpus_view import CorpusView
from radfoundry.serving.images import Labels, SharedImage
from radfoundry.serving.refusals import Refusal
from radfoundry.serving.uploads import Uploads

__all__ = ["Mask", "Places"]


class Mask(NamedTuple):
    """A label map and the image that it lies on."""

    labels: Labels
    image: SharedImage


@dataclass
class Places:
    """The one look-up of a server."""

    uploads: Uploads
    corpus: CorpusView | None
    mask_bytes: int

    def __post_init__(self) -> None:
        self._drawn: OrderedDict[str, Mask] = OrderedDict()
        self._lock = Lock()

    def image(self, some_id: str) -> SharedImage:
        """Return the image of an id: an image's, or a file's, whose first it is. Raises Refusal (404)."""
        if some_id.startswith("file-"):
            return self.uploads.file(some_id).images[0]
        found = self.uploads.image(some_id) or (self.corpus.image(some_id) if self.corpus else None)
        if found is None:
            raise Refusal(404, "There is no such image.", "Neither an upload nor the corpus has it.", "Send it again.")
        return found

    def mask(self, mask_id: str) -> Mask:
        """Return a label map by its id. Raises Refusal (404)."""
        with self._lock:
            drawn = self._drawn.get(mask_id)
        if drawn is not None:
            return drawn
        image_id, _, label_set = mask_id.partition(".")
        image = self.image(image_id) if label_set else None
        if image is None or label_set not in image.labels:
            raise Refusal(
                404, "There is no such mask.", "Masks of answers are kept for a while only.", "Ask the question again."
            )
        return Mask(image.labels[label_set](), image)

    def region(self, region_id: str, among: tuple[SharedImage, ...]) -> tuple[Region, SharedImage]:
        """Return a region of these images. Raises Refusal (404)."""
        for image in among:
            for region in self.regions(image):
                if region.region_id == region_id:
                    return region, image
        raise Refusal(404, "There is no such region.", "No image of this conversation has it.", "Show its image too.")

    def regions(self, image: SharedImage) -> list[Region]:
        """Return an image's regions; none where looking for them fails, which the image does not suffer from."""
        try:
            return image.regions()
        except RowError:
            return []

    def keep_drawn(self, mask_id: str, mask: npt.NDArray[np.bool_], name: str, image: SharedImage) -> None:
        """Keep a mask that an answer drew; the oldest go first."""
        with self._lock:
            self._drawn[mask_id] = Mask(Labels(mask.astype(np.uint8), {1: name}), image)
            while len(self._drawn) > 1 and sum(m.labels.array.nbytes for m in self._drawn.values()) > self.mask_bytes:
                self._drawn.popitem(last=False)
