"""A label map onto the grid of an image, by the place of its samples in the patient and never by their index."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.errors import MismatchError
from radfoundry.geometry import Grid, View
from radfoundry.studies.labels import LabelMap

__all__ = ["Placed", "place_labels"]


class Placed(NamedTuple):
    """Labels on the image's grid, and the share of labelled volume that lies outside of it."""

    array: npt.NDArray
    outside: float


def place_labels(labels: LabelMap, image: Grid) -> Placed:
    """Return the labels at each sample of `image`: exact where the grids coincide or are shifted by whole samples, else the nearest.

    Raises MismatchError where one is a picture and the other a volume, where pictures differ in size, and where nothing labelled
    lies inside the image.
    """
    if labels.grid.ndim != image.ndim:
        raise MismatchError(
            "a label map and its image differ in dimensions",
            f"{labels.grid.shape} and {image.shape}",
            code="label-dimensions",
        )
    if labels.grid.matches(image):
        return Placed(labels.array, 0.0)
    if image.ndim == 2:
        return _picture(labels, image)
    if np.allclose(labels.grid.direction, image.direction, atol=1e-4):
        array = View(labels.grid, image).labels(labels.array)
    else:
        array = _nearest(labels, image)
    outside = _outside(labels, image)
    if outside == 1.0:
        raise MismatchError(
            "a label map lies outside its image",
            f"the map spans {_span(labels.grid)}, the image {_span(image)}",
            "check which image it was drawn on, and the affines of both",
            code="label-outside",
        )
    return Placed(array, outside)


def _picture(labels: LabelMap, image: Grid) -> Placed:
    if labels.grid.shape != image.shape:
        raise MismatchError(
            "a mask and its picture differ in size",
            f"{labels.grid.shape} and {image.shape} pixels",
            "scale one of them",
            code="label-size",
        )
    return Placed(labels.array, 0.0)


def _nearest(labels: LabelMap, image: Grid) -> npt.NDArray:
    out = np.zeros(image.shape, labels.array.dtype)
    rows, columns = np.meshgrid(np.arange(image.shape[1]), np.arange(image.shape[2]), indexing="ij")
    size = np.asarray(labels.array.shape)
    for z in range(image.shape[0]):
        index = np.rint(
            labels.grid.to_index(image.to_world(np.stack([np.full_like(rows, z), rows, columns], axis=-1)))
        ).astype(int)
        inside = np.all((index >= 0) & (index < size), axis=-1)
        out[z][inside] = labels.array[tuple(index[inside].T)]
    return out


def _outside(labels: LabelMap, image: Grid) -> float:
    """The share of labelled samples whose centre is beyond the image's edge."""
    where = np.argwhere(labels.array)
    if len(where) == 0:
        return 0.0
    where = where[:: max(1, len(where) // 100_000)]
    index = image.to_index(labels.grid.to_world(where))
    beyond = np.any((index < -0.5) | (index > np.asarray(image.shape) - 0.5), axis=-1)
    return float(beyond.mean())


def _span(grid: Grid) -> str:
    corners = grid.to_world(np.array([np.zeros(grid.ndim), np.asarray(grid.shape) - 1.0]))
    return " to ".join("(" + ", ".join(f"{v:.0f}" for v in corner) + ")" for corner in corners) + " mm"
