"""From a label map to regions: what each label measures, where it lies, and on which side of the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from radfoundry import anatomy
from radfoundry.errors import MismatchError
from radfoundry.geometry import Grid, Side
from radfoundry.ids import make_id
from radfoundry.records import MadeBy, Region

__all__ = ["LabelledImage", "measure_regions", "midline_mm"]

_NARROW = 0.25  # of the image's width


@dataclass(frozen=True)
class LabelledImage:
    """An image's pixels and a label map on the same canonical grid, with the region name of each label value."""

    image_id: str
    pixels: npt.NDArray
    labels: npt.NDArray
    grid: Grid
    names: Mapping[int, str]
    label_set: str


def measure_regions(image: LabelledImage, made_by: MadeBy) -> list[Region]:
    """Return a region for each named label value that occurs, in order of value.

    Raises MismatchError where pixels and labels differ in shape.
    """
    if image.pixels.shape != image.labels.shape:
        raise MismatchError(
            "image and label map differ in shape",
            f"{image.pixels.shape} and {image.labels.shape}",
            "give the label map that was drawn on this image",
            code="label-shape",
        )
    values = sorted(v for v in image.names if v > 0)
    boxes = ndimage.find_objects(image.labels, max_label=max(values, default=0))
    middle = midline_mm(image)
    found = []
    for value in values:
        slices = boxes[value - 1] if value <= len(boxes) else None
        if slices is not None:
            found.append(_measure(image, value, slices, middle, made_by))
    return found


def _measure(
    image: LabelledImage, value: int, slices: tuple[slice, ...], middle: float | None, made_by: MadeBy
) -> Region:
    grid, name = image.grid, image.names[value]
    inside = image.labels[slices] == value
    voxels = int(np.count_nonzero(inside))
    corner = np.array([s.start for s in slices])
    centre_index = np.argwhere(inside).mean(axis=0) + corner
    centroid = tuple(float(v) for v in grid.to_world(centre_index))
    intensities = image.pixels[slices][inside].astype(np.float64)
    return Region(
        region_id=make_id("region", image.image_id, image.label_set, value, name),
        image_id=image.image_id,
        name=name,
        side=_side(name, inside, slices[-1].start, middle, grid),
        label_set=image.label_set,
        label_value=value,
        voxels=voxels,
        mm3=round(voxels * grid.voxel_mm3, 3) if grid.unit == "mm" else 0.0,
        box=tuple(s.start for s in slices) + tuple(s.stop for s in slices),
        centroid=tuple(round(c, 3) for c in centroid),
        mean=round(float(intensities.mean()), 3),
        sd=round(float(intensities.std()), 3),
        made_by=made_by,
    )


def _side(name: str, inside: npt.NDArray[np.bool_], first: int, middle: float | None, grid: Grid) -> Side:
    """A named side wins over a place: a mirrored patient's left kidney is still the left kidney.

    Without one, a region is on the side where at least three quarters of it lie; else it is midline where it is narrow (the aortic
    arch, a vertebra), and bilateral where it is wide (both pleural spaces in one label).
    """
    known = _named_side(name)
    if known != "none" or middle is None:
        return known
    columns = inside.sum(axis=tuple(range(inside.ndim - 1)))
    (hits,) = np.nonzero(columns)
    x_mm = grid.to_world([_at_x(grid, float(first + x)) for x in hits])[:, 0]
    left = float(columns[hits][x_mm > middle].sum() / columns.sum())
    if not 0.25 < left < 0.75:
        return "left" if left >= 0.75 else "right"
    return "midline" if len(hits) < _NARROW * grid.shape[-1] else "bilateral"


def _named_side(name: str) -> Side:
    return anatomy.side_of(name) if anatomy.is_known(name) else "none"  # a lesion, or a name of the user's own


def midline_mm(image: LabelledImage) -> float | None:
    """Return the LPS x of the patient's midline, from what is labelled, else from the body's outline, else None.

    Paired regions count by the middle between their centroids, midline structures by their own centroid; the median of all is taken.
    """
    places: dict[str, float] = {}
    boxes = ndimage.find_objects(image.labels, max_label=max(image.names, default=0))
    for value, slices in enumerate(boxes, start=1):
        if slices is not None and value in image.names:
            x = np.argwhere((image.labels[slices] == value).any(axis=tuple(range(image.labels.ndim - 1)))).mean()
            places[image.names[value]] = float(image.grid.to_world(_at_x(image.grid, x + slices[-1].start))[0])
    middles = [
        (x + places[other]) / 2
        for name, x in places.items()
        if (other := _mirror_name(name)) in places and _named_side(name) == "left"
    ]
    middles += [x for name, x in places.items() if _named_side(name) == "midline"]
    if middles:
        return float(np.median(middles))
    return _body_middle(image)


def _mirror_name(name: str) -> str:
    other = anatomy.mirror(name) if anatomy.is_known(name) else None
    return other.name if other else ""


def _at_x(grid: Grid, x: float) -> tuple[float, ...]:
    return (*((n - 1) / 2 for n in grid.shape[:-1]), x)


def _body_middle(image: LabelledImage) -> float | None:
    low, high = (float(v) for v in np.percentile(image.pixels[..., ::4], (2, 98)))
    if high <= low:
        return None
    columns = (image.pixels > (low + high) / 2).sum(axis=tuple(range(image.pixels.ndim - 1)))
    x = float(np.average(np.arange(columns.size), weights=columns)) if columns.sum() else (columns.size - 1) / 2
    return float(image.grid.to_world(_at_x(image.grid, x))[0])
