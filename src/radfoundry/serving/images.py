"""An image as the server shows it, from an upload or from the corpus: what it is, its pixels, its regions and label maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.geometry import Box, Grid, Orientation
from radfoundry.records import Region
from radfoundry.studies import ImageSource
from radfoundry.viewing import region_colour, region_label
from radfoundry.viewing.windows import find_window, presets

__all__ = ["Labels", "PixelCache", "SharedImage", "describe", "region_json", "source_box"]


class Labels(NamedTuple):
    """A label map on its image's canonical grid, and the name of each value."""

    array: npt.NDArray
    names: Mapping[int, str]


@dataclass(frozen=True)
class SharedImage:
    """One image; its pixels are read when they are asked for.

    labels: label set -> how to get it. regions: the rows of all label maps. orientation: the stored axis order. source: the DICOM
    objects behind it, None where there are none. window, presets: shown first, and on the keys.
    """

    image_id: str
    modality: str
    grid: Grid
    load: Callable[[], npt.NDArray]
    regions: Callable[[], list[Region]]
    labels: Mapping[str, Callable[[], Labels]]
    orientation: Orientation
    unit: str = ""
    view: str = ""
    title: str = ""
    midline_mm: float | None = None
    source: ImageSource | None = None
    source_grid: Grid | None = None
    windows: dict[str, Any] = field(default_factory=dict)

    def mask_id(self, label_set: str) -> str:
        """Return the id by which a label map of this image is fetched."""
        return f"{self.image_id}.{label_set}"


def describe(image: SharedImage) -> dict[str, Any]:
    """Return the Image object of the API."""
    grid = image.grid
    return {
        "image_id": image.image_id,
        "modality": image.modality,
        "dimensions": grid.ndim,
        "shape": list(grid.shape),
        "spacing": list(grid.spacing),
        "origin": list(grid.origin),
        "direction": list(grid.direction),
        "grid_unit": grid.unit,
        "unit": image.unit,
        "view": image.view,
        "title": image.title or _title(image),
        **windows_of(image),
        "midline_mm": image.midline_mm,
        "masks": [{"mask_id": image.mask_id(name), "name": name} for name in image.labels],
    }


def windows_of(image: SharedImage) -> dict[str, Any]:
    """Return `window` and `presets`, found once: a list of cases must not read each of its scans for them.

    A CT's "full" is the twelve bits of a scanner, so that no pixel is needed.
    """
    if not image.windows:
        pixels = np.array([[[-1024, 3071]]]) if image.modality == "CT" else image.load()
        image.windows["presets"] = [
            {"name": name, "window": [float(v) for v in find_window(pixels, image.modality, name)]}
            for name in presets(image.modality)
        ]
        image.windows["window"] = [float(v) for v in find_window(pixels, image.modality)]
    return image.windows


def _title(image: SharedImage) -> str:
    kind = image.modality or "image"
    if image.grid.ndim == 3:
        return f"{kind}, {image.grid.shape[0]} slices"
    return f"{kind}, {image.view}" if image.view else kind


def region_json(region: Region, image: SharedImage) -> dict[str, Any]:
    """Return the Region object of the API."""
    return {
        "region_id": region.region_id,
        "image_id": region.image_id,
        "name": region.name,
        "side": region.side,
        "label": region_label(region.name, region.side),
        "colour": region_colour(region.name, region.side),
        "mask_id": image.mask_id(region.label_set),
        "label_set": region.label_set,
        "label_value": region.label_value,
        "voxels": region.voxels,
        "mm3": region.mm3,
        "box": list(region.box),
        "centroid": list(region.centroid),
        "mean": region.mean,
        "sd": region.sd,
        "made_by": {"step": region.made_by.step, "version": region.made_by.version, "by": region.made_by.by},
    }


def source_box(image: SharedImage, box: Box) -> list[int]:
    """Return a canonical box in samples of the file as it was stored."""
    n = image.grid.ndim
    start, stop = [0] * n, [0] * n
    for axis, (stored, flipped) in enumerate(zip(image.orientation.axes, image.orientation.flips, strict=True)):
        size = image.grid.shape[axis]
        start[stored] = size - box.stop[axis] if flipped else box.start[axis]
        stop[stored] = size - box.start[axis] if flipped else box.stop[axis]
    return start + stop


class PixelCache:
    """Decoded images, and label maps under the ids of masks, up to a number of bytes; the longest unused go first. Safe between threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._lock = limit_bytes, Lock()
        self._kept: dict[str, npt.NDArray] = {}

    def get(self, key: str, load: Callable[[], npt.NDArray]) -> npt.NDArray:
        """Return what is kept under a key, or load it; two threads may load at the same time and get the same."""
        with self._lock:
            if key in self._kept:
                self._kept[key] = self._kept.pop(key)
                return self._kept[key]
        return self.put(key, load())

    def put(self, key: str, pixels: npt.NDArray) -> npt.NDArray:
        """Keep an image."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = pixels
            while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > self._limit:
                self._kept.pop(next(iter(self._kept)))
        return pixels

    def drop(self, image_id: str) -> None:
        """Forget an image and its label maps."""
        with self._lock:
            for key in [key for key in self._kept if key.partition(".")[0] == image_id]:
                del self._kept[key]

    @property
    def bytes(self) -> int:
        """Bytes of the images in memory."""
        with self._lock:
            return sum(kept.nbytes for kept in self._kept.values())
