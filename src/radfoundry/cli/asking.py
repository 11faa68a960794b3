"""A study on disk as something that can be asked about, and an answer as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radfoundry.cli.opening import found_studies
from radfoundry.corpus import encode_labelmap
from radfoundry.errors import UsageError
from radfoundry.grounding.segmenters import LabelsOnDisk, SegmentationRequest
from radfoundry.protocols import Answer, Picture, Question
from radfoundry.records import Part, Turn
from radfoundry.studies import ReadImage, StudySource, read_image
from radfoundry.studies.identity import image_id_of
from radfoundry.viewing import NamedBox, draw_study

__all__ = ["AskedStudy"]


@dataclass(frozen=True)
class AskedStudy:
    """The first study under a path, its images read."""

    source: StudySource
    images: tuple[ReadImage, ...]

    @classmethod
    def open(cls, path: Path) -> AskedStudy:
        """Read the study. Raises UsageError where there is none, or no image in it; RowError where it cannot be read."""
        source = found_studies(path).studies[0]
        if not source.images:
            raise UsageError(f"no image in {path}", "there is a report only", "give the scan")
        return cls(source, tuple(read_image(image) for image in source.images[:1]))

    def question(self, text: str, kind: str, region: str = "") -> Question:
        """Return the question about the study's first image."""
        image = self.images[0]
        image_id = image_id_of(image)
        picture = Picture(image_id, image.modality, image.grid, lambda: image.pixels)
        parts = [Part("image", ref=image_id)]
        regions = {}
        if region:
            regions[region] = self._region(region)
            parts.append(Part("region", ref=region))
        turn = Turn("user", (*parts, Part("text", text)))
        choices = ("yes", "no") if kind == "closed" else ()
        return Question("asked", "asked", (turn,), (picture,), kind, choices, regions=regions)

    def _region(self, name: str) -> np.ndarray:
        image = self.images[0]
        masks = tuple(m for m in self.source.masks if m.image == 0)
        found = LabelsOnDisk().segment(SegmentationRequest(image.pixels, image.grid, image.modality, masks))
        for label_map in found:
            values = [v for v, n in label_map.names.items() if n == name]
            if values:
                return np.isin(label_map.array, values)
        known = sorted({n for label_map in found for n in label_map.names.values()})
        raise UsageError(
            f"no region {name!r} in this study", f"it has {', '.join(known) or 'no label map'}", "leave --region out"
        )

    def write(self, answer: Answer, out: Path) -> list[str]:
        """Write `answer.png`, and `mask.nii.gz` where there is a mask; return their paths."""
        out.mkdir(parents=True, exist_ok=True)
        image = self.images[0]
        labels = answer.mask.astype(np.uint8) if answer.mask is not None else None
        boxes = [NamedBox("answer", box) for box in answer.boxes]
        drawn = draw_study(
            image.pixels,
            image.grid,
            labels,
            {1: "answer"},
            boxes,
            answer.text[:60],
            modality=image.modality,
            view=image.view,
        )
        drawn.save(out / "answer.png")
        written = [str(out / "answer.png")]
        if labels is not None and labels.ndim == 3:
            (out / "mask.nii.gz").write_bytes(encode_labelmap(labels, image.grid))
            written.append(str(out / "mask.nii.gz"))
        return written
