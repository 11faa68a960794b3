"""Plain JSON lines: a sample a line with everything that a `Sample` says, its images as files, its regions as label maps.

    samples.jsonl   images/<image>.nii.gz|png   labelmaps/<image>.<set>.nii.gz

Boxes and label maps are on the canonical grid of the image file. A part of a turn is {"text"}, {"image": place in images} or
{"region": id}. Pictures of more than eight bits are written in their window.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radfoundry.corpus import labelmap_name
from radfoundry.errors import UnreadableError, UsageError
from radfoundry.formats.pictures import ImageFiles
from radfoundry.formats.progress import Tell, silent
from radfoundry.formats.shown import Shown, shown_samples
from radfoundry.records import MadeBy, Part, Region, Sample, Turn

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus

__all__ = ["read", "write"]

_FILE = "samples.jsonl"


def write(corpus: Corpus, folder: Path, tell: Tell = silent) -> dict[str, int]:
    """Write every sample of a corpus whose images are there, and return how many samples, images and label maps that gave."""
    files, maps = ImageFiles(corpus, folder), set[str]()
    regions = {row.region_id: row for row in corpus.rows("regions")}
    chosen = shown_samples(corpus, corpus.rows("samples"))
    with (folder / _FILE).open("w", encoding="utf-8") as out:
        for number, shown in enumerate(chosen.samples, start=1):
            images = [files.whole(image.image_id, image.dimensions) for image in shown.images]
            named = {one: regions[one] for one in _regions_of(shown.sample) if one in regions}
            maps |= {_copy_map(corpus, folder, region) for region in named.values()}
            line = _object(shown, images, {one: _region(region) for one, region in named.items()})
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            tell(number, len(chosen.samples))
    return {"samples": len(chosen.samples), "images": files.count, "label maps": len(maps), **chosen.left_out}


def _regions_of(sample: Sample) -> list[str]:
    shown = [part.ref for turn in sample.turns for part in turn.parts if part.kind == "region"]
    return list(dict.fromkeys([*sample.region_ids, *shown]))


def _copy_map(corpus: Corpus, folder: Path, region: Region) -> str:
    name = labelmap_name(region.image_id, region.label_set)
    target = folder / _map_name(region)
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(corpus.path / name, target)
    return name


def _map_name(region: Region) -> str:
    return f"labelmaps/{region.image_id}.{region.label_set}.nii.gz"


def _region(region: Region) -> dict[str, Any]:
    return {"name": region.name, "side": region.side, "labelmap": _map_name(region), "value": region.label_value}


def _object(shown: Shown, images: list[str], regions: Mapping[str, Any]) -> dict[str, Any]:
    sample = shown.sample
    return {
        "id": sample.sample_id, "study": sample.study_id, "split": sample.split, "task": sample.task,
        "answer_kind": sample.answer_kind, "images": images,
        "turns": [{"role": t.role, "parts": [_part(p, sample) for p in t.parts]} for t in sample.turns],
        "choices": list(sample.choices), "boxes": [list(box) for box in sample.boxes],
        "regions": regions, "answer_regions": list(sample.region_ids), "evidence": list(sample.evidence),
        "licence": shown.licence, "made_by": asdict(sample.made_by),
    }  # fmt: skip


def _part(part: Part, sample: Sample) -> dict[str, Any]:
    if part.kind == "image":
        return {"image": sample.image_ids.index(part.ref)}
    return {"region": part.ref} if part.kind == "region" else {"text": part.text}


def read(folder: Path) -> dict[str, list[Any]]:
    """Return the samples of a folder that `write` filled. Raises UnreadableError for a line that is none, with its number."""
    path = folder / _FILE
    if not path.is_file():
        raise UsageError(f"no {_FILE} in {folder}", "this layout keeps its samples there", "name the exported folder")
    samples = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                samples.append(_sample(json.loads(line)))
            except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
                raise UnreadableError(
                    f"line {number} of {path.name} is no sample", f"{type(error).__name__}: {error}", "mend the line"
                ) from error
    return {"samples": samples}


def _sample(row: Mapping[str, Any]) -> Sample:
    images = tuple(Path(name).name.split(".")[0] for name in row["images"])
    turns = tuple(Turn(t["role"], tuple(_as_part(p, images) for p in t["parts"])) for t in row["turns"])
    return Sample(
        row["id"], row["study"], images, row["task"], turns, row["answer_kind"], tuple(row["choices"]),
        tuple(tuple(box) for box in row["boxes"]), tuple(row["answer_regions"]), tuple(row["evidence"]), row["split"],
        row["licence"], MadeBy(**row["made_by"]),
    )  # fmt: skip


def _as_part(part: Mapping[str, Any], images: tuple[str, ...]) -> Part:
    if "image" in part:
        return Part("image", ref=images[part["image"]])
    return Part("region", ref=part["region"]) if "region" in part else Part("text", part["text"])
