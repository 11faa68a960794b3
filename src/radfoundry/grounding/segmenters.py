"""Where label maps come from: one protocol for files on disk, experts in other processes, and the built-in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from radfoundry import anatomy
from radfoundry.errors import MismatchError, UsageError
from radfoundry.geometry import Grid
from radfoundry.grounding import classical
from radfoundry.grounding.names import region_name
from radfoundry.studies import ImageSource, LabelMap, MaskSource, Placed, place_labels, read_label_layers

__all__ = ["Classical", "LabelsOnDisk", "SegmentationRequest", "Segmenter", "name_labels"]

# the two numberings differ: the aorta is 52 in one and 23 in the other
_NUMBERINGS = {"CT": "totalsegmentator_v2", "MR": "totalsegmentator_mr"}


@dataclass(frozen=True)
class SegmentationRequest:
    """One image that wants regions: its pixels, grid and modality, the masks that came with it, and the regions found already.

    source: where the image lies, for segmenters that find masks by its name.
    """

    pixels: npt.NDArray
    grid: Grid
    modality: str
    masks: tuple[MaskSource, ...] = ()
    known: frozenset[str] = frozenset()
    source: ImageSource | None = None


class Segmenter(Protocol):
    """Anything that names the voxels of an image."""

    @property
    def name(self) -> str:
        """The label set's name, in file names and region rows."""
        ...

    @property
    def version(self) -> str:
        """Changes when the same image would get other labels."""
        ...

    def segment(self, request: SegmentationRequest) -> Sequence[LabelMap]:
        """Return named label maps on the request's grid; none where this segmenter has nothing to say."""
        ...


@dataclass(frozen=True)
class LabelsOnDisk:
    """The label maps that came with the study, on whatever grid they were saved."""

    name: str = "labels-on-disk"
    version: str = "1"

    def segment(self, request: SegmentationRequest) -> Sequence[LabelMap]:
        """Read, name and place the study's own masks.

        Raises MismatchError where a mask does not lie on the image, or where its values cannot be named.
        """
        found = []
        for mask in request.masks:
            for layer in read_label_layers(mask.source, mask.labels, image=request.grid):
                _refuse_unnamed(layer, mask.source.label)
                placed = _mostly_inside(place_labels(layer, request.grid))
                found.append(
                    LabelMap(placed, request.grid, name_labels(placed, layer.names, request.modality), layer.notes)
                )
        return found


def _refuse_unnamed(layer: LabelMap, label: str) -> None:
    """A mask of one structure says nothing by its value 1, which a numbering would call the spleen."""
    if any(note.startswith("unnamed-mask") for note in layer.notes):
        raise MismatchError(
            f"{label} is a mask of one structure without a name",
            "its only value says nothing",
            "name it in a labels file (JSON or TSV: value, region)",
            code="mask-unnamed",
        )


@dataclass(frozen=True)
class Classical:
    """Lungs, airway and bone of a CT by rules alone, where nothing that came with the study names them."""

    name: str = "classical"
    version: str = "1"

    def segment(self, request: SegmentationRequest) -> Sequence[LabelMap]:
        """Segment a CT volume in mm; keep the regions that are neither known, nor part of, nor made of what is known."""
        if request.modality != "CT" or request.grid.ndim != 3 or request.grid.unit != "mm":
            return []
        wanted = {
            value: name
            for value, name in classical.NAMES.items()
            if name != "body" and not _covered(name, request.known)
        }
        if not wanted:
            return []
        labels = classical.segment_ct(request.pixels, request.grid).labels
        kept = np.where(np.isin(labels, list(wanted)), labels, 0).astype(labels.dtype)
        return [LabelMap(kept, request.grid, wanted)] if kept.any() else []


def _covered(name: str, known: frozenset[str]) -> bool:
    near = (*anatomy.ancestors(name), *anatomy.descendants(name))
    return name in known or any(region.name in known for region in near if anatomy.is_structure(region))


def _mostly_inside(placed: Placed) -> npt.NDArray:
    """Return the placed labels. Raises MismatchError where more than half of them lie outside the image."""
    if placed.outside > 0.5:
        raise MismatchError(
            "the label map does not lie on the image",
            f"{placed.outside:.0%} of its labelled volume falls outside the image",
            "give the label map that was drawn on this image, with its header unchanged",
            code="label-outside",
        )
    return placed.array


def name_labels(labels: npt.NDArray, names: Mapping[int, str], modality: str = "CT") -> dict[int, str]:
    """Return value -> region name: the given names, else TotalSegmentator's numbering for the modality where all values fit.

    Raises MismatchError where neither does.
    """
    if names:
        return {value: region_name(name) for value, name in names.items()}
    table = anatomy.crosswalk(_NUMBERINGS.get(modality, _NUMBERINGS["CT"]))
    values = [int(v) for v in np.unique(labels) if v > 0]
    try:
        return {value: table.region_of(value).name for value in values}
    except UsageError as error:
        raise MismatchError(
            "the values of the label map have no names",
            f"{error.what} in {values[:10]}",
            "name them in a labels file (JSON or TSV: value, region)",
            code="labels-unnamed",
        ) from error
