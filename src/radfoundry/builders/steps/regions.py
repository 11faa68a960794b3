"""Images -> regions with their measures, and one label map a set on the image's canonical grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from radfoundry.builders.steps.reading import ImageOrigin
from radfoundry.corpus import encode_labelmap, labelmap_name
from radfoundry.errors import RowError
from radfoundry.geometry import Grid
from radfoundry.grounding.regions import LabelledImage, measure_regions
from radfoundry.grounding.segmenters import Classical, LabelsOnDisk, SegmentationRequest, Segmenter
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Image

__all__ = ["FindRegions"]


@dataclass(frozen=True)
class FindRegions:
    """Ask each segmenter about each image."""

    segmenters: Sequence[Segmenter] = (LabelsOnDisk(), Classical())
    name: str = "find-regions"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("images",)
    fills: tuple[str, ...] = ("regions", "rejected")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Which segmenters, in order."""
        return {"segmenters": [f"{s.name}/{s.version}" for s in self.segmenters]}

    def asking(self, more: Sequence[Segmenter]) -> FindRegions:
        """Return the step with further segmenters, asked after the study's own masks and before those that fill gaps."""
        first, *rest = self.segmenters
        return replace(self, segmenters=(first, *more, *rest))

    def run(self, batch: Batch) -> Batch:
        """Return regions, label maps as arrays and as files."""
        out = Batch()
        images = {image.image_id: image for image in batch.table("images")}
        for origin in batch.table("_origins"):
            for segmenter in self.segmenters:
                try:
                    self._segment(segmenter, images[origin.image_id], origin, batch, out)
                except RowError as error:
                    out.reject(f"{origin.source.key}:{segmenter.name}", self.name, error)
        return out

    def _segment(self, segmenter: Segmenter, image: Image, origin: ImageOrigin, batch: Batch, out: Batch) -> None:
        pixels = batch.arrays[image.image_id]
        masks = tuple(m for m in origin.source.masks if m.image == origin.place)
        known = frozenset(r.name for r in out.table("regions") if r.image_id == image.image_id)
        grid = _trusted(image)
        picture = origin.source.images[origin.place]
        found = segmenter.segment(SegmentationRequest(pixels, grid, image.modality, masks, known, picture))
        for number, label_map in enumerate(found, start=1):
            label_set = segmenter.name if number == 1 else f"{segmenter.name}-{number}"
            by = "; ".join((f"{segmenter.name}/{segmenter.version}", *label_map.notes))
            made_by = signature(self, by)
            labelled = LabelledImage(image.image_id, pixels, label_map.array, grid, label_map.names, label_set)
            out.add("regions", *measure_regions(labelled, made_by))
            out.arrays[(image.image_id, label_set)] = label_map.array
            out.files[labelmap_name(image.image_id, label_set)] = encode_labelmap(label_map.array, image.grid)


def _trusted(image: Image) -> Grid:
    """An affine that was never written (the identity) measures nothing: the unit of such a grid is the voxel."""
    unwritten = any(note.startswith("identity-affine") for note in image.notes)
    return replace(image.grid, unit="pixel") if unwritten else image.grid
