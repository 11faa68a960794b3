"""A grounded corpus into RadGenome's folders: tables, preprocessed volumes, masks by region name, and a list that says what is what."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from radfoundry import anatomy
from radfoundry.errors import UsageError
from radfoundry.formats.progress import Tell, silent
from radfoundry.formats.radgenome.from_corpus import CLEAN, Habits, Volume, tables_of, volumes_of
from radfoundry.formats.radgenome.paths import HEADS, head_of, paths_of_region
from radfoundry.formats.radgenome.tables import FOLDER, mask_folder, volume_folder, write_tables
from radfoundry.formats.radgenome.volumes import identity_bytes, preprocessing
from radfoundry.geometry import View
from radfoundry.records import Region

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus

__all__ = ["write"]


def write(corpus: Corpus, folder: Path, tell: Tell = silent, *, habits: Habits = CLEAN) -> dict[str, int]:
    """Write every CT study of a corpus into a folder and return how many volumes, masks and table rows that gave.

    `volumes.csv` ties the names to ids and licences, which the layout has no place for. A mask that nobody drew is not written: readers
    then take the head's, then the whole scan. Raises UsageError where the corpus has no CT volume.
    """
    volumes = volumes_of(corpus)
    if not volumes:
        raise UsageError(
            f"{corpus.path} has no CT volume", "RadGenome's layout is one of chest CT", "export it as llava or jsonl"
        )
    tables = tables_of(corpus, habits, volumes)
    write_tables(tables, folder / FOLDER)
    (folder / "volumes.csv").write_text(_list(volumes), encoding="utf-8", newline="")
    masks = 0
    regions: dict[str, list[Region]] = defaultdict(list)
    for region in corpus.rows("regions"):
        regions[region.image_id].append(region)
    for number, volume in enumerate(volumes, start=1):
        masks += _write_volume(corpus, volume, regions[volume.image.image_id], folder)
        tell(number, len(volumes))
    return {"volumes": len(volumes), "masks": masks, "rows": sum(len(rows) for rows in vars(tables).values())}


def _list(volumes: Iterable[Volume]) -> str:
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(("Volumename", "study_id", "image_id", "licence"))
    out.writerows((v.name, v.study.study_id, v.image.image_id, v.study.licence) for v in volumes)
    return text.getvalue()


def _write_volume(corpus: Corpus, volume: Volume, regions: list[Region], folder: Path) -> int:
    pixels, row = corpus.image(volume.image.image_id)
    view = preprocessing(pixels, row.grid)
    place = folder / volume_folder(volume.name)
    place.mkdir(parents=True)
    (place / volume.name).write_bytes(identity_bytes(np.rint(view.pixels(pixels, -1024)).astype(np.int16)))
    written = 0
    for kind, named in _masks(corpus, regions, view).items():
        place = folder / mask_folder(volume.name, kind)
        place.mkdir(parents=True)
        for name, mask in named.items():
            (place / f"{name}.nii.gz").write_bytes(identity_bytes(mask.astype(np.uint8)))
            written += 1
    return written


def _masks(corpus: Corpus, regions: list[Region], view: View) -> dict[str, dict[str, npt.NDArray[np.bool_]]]:
    """Masks by their file's name: each region that the published set has a file for, and each head as all that lies in it."""
    maps: dict[str, npt.NDArray] = {}
    found: dict[str, dict[str, npt.NDArray[np.bool_]]] = {"anatomy": {}, "region": {}}
    files = anatomy.crosswalk("radgenome_masks")
    for region in regions:
        if region.label_set not in maps:
            maps[region.label_set] = view.labels(corpus.labelmap(region.image_id, region.label_set))
        mask = maps[region.label_set] == region.label_value
        if not anatomy.is_structure(region.name):
            continue
        for name in files.names_of(region.name):
            _union(found["anatomy"], name, mask)
        for head in {head_of(path) for path in paths_of_region(region.name)} & set(HEADS[:-1]):
            _union(found["region"], head, mask)
    return found


def _union(masks: dict[str, npt.NDArray[np.bool_]], name: str, mask: npt.NDArray[np.bool_]) -> None:
    masks[name] = masks[name] | mask if name in masks else mask
