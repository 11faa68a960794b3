"""RadGenome's mask folders: a file a region by its published name, all-zero where the structure is absent, overlapping at will."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from radfoundry import anatomy
from radfoundry.errors import MismatchError, UsageError
from radfoundry.geometry import Grid
from radfoundry.grounding.names import region_name
from radfoundry.grounding.segmenters import SegmentationRequest
from radfoundry.studies import ImageSource, LabelMap, Limits, place_labels, read_labels
from radfoundry.studies.kinds import plain_stem
from radfoundry.studies.layers import Patch, pack

__all__ = ["MaskFolder", "NamedMask", "pack_masks", "read_masks"]

_PREFIX = "seg_"
# a head mask whose published spelling is its own
_HEADS = {"trachea and bronchie": "trachea and bronchi"}


class NamedMask(NamedTuple):
    """One region's samples: `mask` fills `slices` of the image's grid; `value` is the place of its name in the vocabulary."""

    value: int
    name: str
    slices: tuple[slice, ...]
    mask: npt.NDArray[np.bool_]


def read_masks(
    paths: Iterable[Path], vocabulary: str, place: Callable[[LabelMap], npt.NDArray], limits: Limits | None = None
) -> list[NamedMask]:
    """Return the masks of files whose names a vocabulary or the anatomy knows; all-zero ones and other names are left out.

    `place` brings a mask onto the image's grid.
    """
    known = _known(vocabulary)
    found = []
    for path in paths:
        stem = anatomy.normalise(plain_stem(path.name))
        if stem not in known:
            continue
        array = place(read_labels(ImageSource(path, "nifti"), None, limits)) > 0
        boxes = ndimage.find_objects(array.astype(np.uint8), max_label=1)
        if boxes and boxes[0] is not None:
            value, name = known[stem]
            found.append(NamedMask(value, region_name(name), boxes[0], np.ascontiguousarray(array[boxes[0]])))
    return found


@cache
def _known(vocabulary: str) -> dict[str, tuple[int, str]]:
    """File name -> label value, the same in every study, and our name."""
    rows = anatomy.crosswalk(vocabulary).mappings
    ours = {anatomy.normalise(r.name): (len(rows) + n, r.name) for n, r in enumerate(anatomy.regions(), start=1)}
    heads = {head: ours[name] for head, name in _HEADS.items()}
    return ours | heads | {anatomy.normalise(r.name): (n, r.region.name) for n, r in enumerate(rows, start=1)}


def pack_masks(masks: Sequence[NamedMask], grid: Grid) -> list[LabelMap]:
    """Return the least number of label maps that hold the masks, no two of which share a sample of one map."""
    if not masks:
        return []
    patches = [Patch(m.value, m.slices, m.mask) for m in masks]
    layers = pack(patches, grid, {m.value: m.name for m in masks}, ())
    return [LabelMap(layer.array, grid, layer.names, layer.notes) for layer in layers]


@dataclass(frozen=True)
class MaskFolder:
    """Published masks beside a cohort: the folder `seg_VOLUME` for the image `VOLUME.nii.gz`, anywhere below `root`.

    Where several folders have it (ten heads in one, 210 structures in another), the file of a name that sorts first is taken.
    """

    root: Path
    vocabulary: str = "radgenome_masks"
    name: str = "mask-folder"
    version: str = "1"

    @classmethod
    def at(cls, root: Path) -> MaskFolder:
        """Return the segmenter of a folder that exists. Raises UsageError for another."""
        if not root.is_dir():
            raise UsageError(
                f"there is no folder {root}", "masks:FOLDER names a folder of seg_VOLUME folders", "check the spelling"
            )
        return cls(root)

    def segment(self, request: SegmentationRequest) -> Sequence[LabelMap]:
        """Return the volume's masks on its grid; nothing where there is no folder of its name.

        Raises MismatchError where a mask without a place of its own (RadGenome's identity affine) has another shape than the image.
        """
        if request.source is None:
            return []
        folder = f"{_PREFIX}{plain_stem(request.source.path.name)}"
        files: dict[str, Path] = {}
        for path in sorted(self.root.glob(f"**/{folder}/*.nii.gz")):
            files.setdefault(path.name, path)
        masks = read_masks(files.values(), self.vocabulary, lambda labels: _placed(labels, request.grid))
        return pack_masks(masks, request.grid)


def _placed(labels: LabelMap, grid: Grid) -> npt.NDArray:
    if labels.grid.matches(grid):
        return labels.array
    if any(note.startswith(("identity-affine", "no-affine")) for note in labels.notes):
        raise MismatchError(
            "a mask does not lie on its image",
            f"its affine says nothing, and its shape is {labels.grid.shape}, not {grid.shape}",
            "give the preprocessed volume that the masks were made for",
            code="mask-grid",
        )
    return place_labels(labels, grid).array
