"""`build description`: image, region and a five-part description without any report (MedTrinity-25M).

images -> regions -> facts (modality, structures, place, area, intensity, relation) -> sentences that rest on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radfoundry import anatomy
from radfoundry.builders.modality import modality_words
from radfoundry.builders.placing import place_words, relation_words, share_of_image
from radfoundry.builders.samples import SampleMaker, StudyRows, studies_of
from radfoundry.builders.steps import FindRegions, ReadStudies
from radfoundry.corpus import Pipeline
from radfoundry.ids import make_id
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Description, Image, MadeBy, Region, Sample

__all__ = ["Describe", "pipeline"]

# text, the facts that it rests on, and the region it is about
_Written = tuple[str, tuple[str, ...], Region | None]

PARTS = ("modality", "structure", "roi", "texture", "relation")


def pipeline(root: Path, salt: str) -> Pipeline:
    """Return the steps of the description corpus."""
    return Pipeline("description", (ReadStudies(salt, root), FindRegions(), Describe()))


@dataclass(frozen=True)
class Describe:
    """Say of each image what it is, what it holds, and of its region of interest where it lies and how it looks."""

    name: str = "describe"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "images", "regions")
    fills: tuple[str, ...] = ("descriptions", "samples")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing to set."""
        return {}

    def run(self, batch: Batch) -> Batch:
        """Return the descriptions of every image, and a sample that puts them together."""
        out = Batch()
        made_by = signature(self, "facts")
        for rows in studies_of(batch):
            for image in rows.images:
                parts = _describe(image, rows.regions_of(image), made_by)
                out.add("descriptions", *parts)
                out.add("samples", _sample(rows, image, parts, made_by))
        return out


def _describe(image: Image, regions: Sequence[Region], made_by: MadeBy) -> list[Description]:
    target = region_of_interest(regions)
    written: dict[str, _Written] = {
        "modality": (_modality(image), (f"modality={image.modality}", f"shape={image.shape}"), None)
    }
    if regions:
        names = [r.name for r in sorted(regions, key=lambda r: (-r.voxels, r.name))]
        written["structure"] = (
            f"It shows the {_list_words(names[:8])}.",
            tuple(f"region={r.region_id}" for r in regions),
            None,
        )
    if target is not None:
        written["roi"] = (*_place(image, target), target)
        written["texture"] = (*_texture(image, target), target)
        neighbour = _neighbour(target, regions)
        if neighbour is not None:
            words = relation_words(target, neighbour)
            written["relation"] = (
                f"The {target.name} lies {words} the middle of the {neighbour.name}.",
                (f"centroid={target.centroid}", f"other={neighbour.region_id}", f"centroid={neighbour.centroid}"),
                target,
            )
    return [_row(image, part, *written[part], made_by) for part in PARTS if part in written]


def region_of_interest(regions: Sequence[Region]) -> Region | None:
    """Return the region that a description is about: the largest lesion, else the smallest named organ."""
    lesions = [r for r in regions if not anatomy.is_structure(r.name)]
    if lesions:
        return max(lesions, key=lambda r: (r.voxels, r.region_id))
    return min(regions, key=lambda r: (r.voxels, r.region_id), default=None)


def _modality(image: Image) -> str:
    words = modality_words(image.modality)
    view = f" in {image.view} view" if image.view in ("frontal", "lateral") else ""
    return f"This is {words.phrase if words else 'an image'}{view}{' with contrast agent' if image.contrast else ''}."


def _place(image: Image, region: Region) -> tuple[str, tuple[str, ...]]:
    share = share_of_image(image, region)
    size = f"{region.mm3 / 1000:.1f} mL, " if image.dimensions == 3 and image.grid_unit == "mm" else ""
    part = f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
    text = f"The {region.name} lies in {place_words(image, region)} of the image and takes {size}{part} of it."
    return text, (f"box={region.box}", f"voxels={region.voxels}", f"share={share:.4f}", f"mm3={region.mm3:g}")


def _texture(image: Image, region: Region) -> tuple[str, tuple[str, ...]]:
    unit = f" {image.unit}" if image.unit else ""
    even = "even" if region.sd < 0.25 * max(abs(region.mean), 100.0) else "uneven"
    text = f"Its intensity is {region.mean:.0f}{unit} on average with a standard deviation of {region.sd:.0f}, {even} in texture."
    return text, (f"mean={region.mean:g}", f"sd={region.sd:g}")


def _neighbour(target: Region, regions: Sequence[Region]) -> Region | None:
    def distance(other: Region) -> float:
        return sum((a - b) ** 2 for a, b in zip(target.centroid, other.centroid, strict=True))

    others = [r for r in regions if r.name != target.name and r.image_id == target.image_id]
    return min(others, key=lambda r: (distance(r), r.region_id), default=None)


def _row(
    image: Image, part: str, text: str, facts: tuple[str, ...], region: Region | None, made_by: MadeBy
) -> Description:
    region_id = region.region_id if region else None
    made_id = make_id("description", image.image_id, region_id or "", part)
    return Description(made_id, image.image_id, region_id, part, text, facts, made_by)


def _sample(rows: StudyRows, image: Image, parts: Sequence[Description], made_by: MadeBy) -> Sample:
    text = " ".join(p.text for p in parts)
    regions = list(dict.fromkeys(p.region_id for p in parts if p.region_id))
    evidence = [p.description_id for p in parts] + regions
    return SampleMaker(rows.study, made_by).ask(
        "description", "image", [image.image_id], {"text": text}, evidence, region_ids=regions
    )


def _list_words(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
