"""`build m3d`: boxes, masks and closed questions from labelled scans (M3D).

studies -> regions -> REC (name to box), REG (box to name), segmentation, organ and modality questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radfoundry import anatomy
from radfoundry.builders.modality import MODALITY_CHOICES, modality_words
from radfoundry.builders.samples import SampleMaker, StudyRows, studies_of
from radfoundry.builders.steps import FindRegions, LinkSentences, ReadReports, ReadStudies
from radfoundry.corpus import Pipeline
from radfoundry.grounding.names import region_name
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Image, Region, Sample

__all__ = ["AskM3D", "pipeline"]

YES_NO = ("yes", "no")
_WHOLE_BODY = 15  # structures from which on a label map is taken for a whole-body one


def pipeline(root: Path, salt: str, regions: Sequence[str] = ()) -> Pipeline:
    """Return the steps of the m3d corpus; regions: ask about these alone, by any name that the anatomy knows."""
    ask = AskM3D(regions=tuple(region_name(name) for name in regions))
    return Pipeline("m3d", (ReadStudies(salt, root), ReadReports(), FindRegions(), LinkSentences(), ask))


@dataclass(frozen=True)
class AskM3D:
    """Ask for boxes and masks of some regions of each image, and closed questions about what is in view."""

    regions: tuple[str, ...] = ()
    regions_per_image: int = 24
    min_voxels: int = 8
    name: str = "ask-m3d"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "images", "regions")
    fills: tuple[str, ...] = ("samples",)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Which regions are asked about (all if none is named), how many an image, and how small they may be."""
        return {"regions": self.regions, "regions_per_image": self.regions_per_image, "min_voxels": self.min_voxels}

    def run(self, batch: Batch) -> Batch:
        """Return the samples of every image."""
        out = Batch()
        made_by = signature(self, "templates")
        for rows in studies_of(batch):
            maker = SampleMaker(rows.study, made_by)
            for image in rows.images:
                out.add("samples", *self._image(maker, rows, image))
        return out

    def _image(self, maker: SampleMaker, rows: StudyRows, image: Image) -> list[Sample]:
        regions = [r for r in rows.regions_of(image) if not self.regions or r.name in self.regions]
        out = _modality(maker, image)
        for region in self._chosen(regions):
            out += _box_and_mask(maker, image, region)
        return out + _organs(maker, image, regions)

    def _chosen(self, regions: Sequence[Region]) -> list[Region]:
        """Return regions whose name is unique in the image, picked by id so that a rebuild picks the same."""
        names = [r.name for r in regions]
        large = [r for r in regions if r.voxels >= self.min_voxels and names.count(r.name) == 1]
        return sorted(large, key=lambda r: hashlib.blake2b(r.region_id.encode()).digest())[: self.regions_per_image]


def _modality(maker: SampleMaker, image: Image) -> list[Sample]:
    words = modality_words(image.modality)
    if words is None:
        return []
    ids, values = [image.image_id], {"modality": words.short}
    return [maker.ask("modality", "choice", ids, values, ids, answer_kind="choice", choices=MODALITY_CHOICES)]


def _box_and_mask(maker: SampleMaker, image: Image, region: Region) -> list[Sample]:
    ids, values, evidence = [image.image_id], {"region": region.name}, [region.region_id]
    return [
        maker.ask("rec", "box", ids, values, evidence, answer_kind="box", boxes=[region.box], region_ids=evidence),
        maker.ask(
            "reg", "name", ids, values, evidence, boxes=[region.box], region_ids=evidence, about=region.region_id
        ),
        maker.ask(
            "segment", "mask", ids, values, evidence, answer_kind="mask", boxes=[region.box], region_ids=evidence
        ),
    ]


def _organs(maker: SampleMaker, image: Image, regions: Sequence[Region]) -> list[Sample]:
    """Ask for one region that is in view, and for one that is not.

    What is not labelled need not be absent: "no" is asked only where the label map is a whole-body one with many structures, and
    only for organs that such a map names.
    """
    present = {r.name: r for r in regions if anatomy.is_structure(r.name)}
    if image.dimensions != 3 or not present:
        return []
    pick = int.from_bytes(hashlib.blake2b(image.image_id.encode(), digest_size=8).digest(), "big")
    ids, here = [image.image_id], sorted(present)[pick % len(present)]
    evidence = [present[here].region_id]
    out = [maker.ask("organ", "yes", ids, {"region": here}, evidence, answer_kind="closed", choices=YES_NO)]
    absent = _absent(present) if len(present) >= _WHOLE_BODY else []
    if absent:
        values, evidence = {"region": absent[pick % len(absent)]}, [r.region_id for r in present.values()]
        out.append(maker.ask("organ", "no", ids, values, evidence, answer_kind="closed", choices=YES_NO))
    return out


def _absent(present: Mapping[str, Region]) -> list[str]:
    """Organs that a whole-body label map names, and that neither are, hold, nor lie in anything present."""
    near = {r.name for name in present for r in (*anatomy.ancestors(name), *anatomy.descendants(name))} | set(present)
    named = {row.region for row in anatomy.crosswalk("totalsegmentator_v2").mappings}
    return sorted(r.name for r in named if r.kind == "organ" and r.name not in near)
