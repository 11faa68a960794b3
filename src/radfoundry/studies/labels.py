"""Label maps from any source, and back to a file: integers on a canonical grid, with the names of their values where some are given."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.errors import MismatchError, UnreadableError, UsageError
from radfoundry.geometry import Grid, Orientation
from radfoundry.studies.containers import read_file
from radfoundry.studies.decoding import decode
from radfoundry.studies.dicom_seg import read_dicom_seg
from radfoundry.studies.guess import tokens
from radfoundry.studies.kinds import is_mask_name, plain_stem
from radfoundry.studies.layers import Layer
from radfoundry.studies.lidc_layers import lidc_layers
from radfoundry.studies.limits import Limits
from radfoundry.studies.metaimage import read_metaimage
from radfoundry.studies.nifti import nifti_bytes, read_nifti
from radfoundry.studies.nrrd import read_nrrd
from radfoundry.studies.plain_array import read_npy
from radfoundry.studies.rtstruct import read_rtstruct
from radfoundry.studies.sources import ImageSource

__all__ = ["LabelMap", "read_label_layers", "read_label_names", "read_labels", "write_labelmap"]


@dataclass(frozen=True)
class LabelMap:
    """A label map on its own canonical grid; 0 is background.

    array: unsigned integers `[z, y, x]` or `[y, x]`. names: value -> name, empty where neither the file nor a labels file names
    them (a mask of one structure, whose only value says nothing, carries the note `unnamed-mask`).
    """

    array: npt.NDArray
    grid: Grid
    names: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_labels(
    source: ImageSource, labels: Path | None = None, limits: Limits | None = None, *, image: Grid | None = None
) -> LabelMap:
    """Read a label map; `image` is the canonical grid of the image it was drawn on (contours need it).

    Raises MismatchError (overlapping-segments) where structures overlap, so that one map cannot hold them: `read_label_layers` can.
    """
    layers = read_label_layers(source, labels, limits, image=image)
    if len(layers) > 1:
        raise MismatchError(
            f"{source.label} has structures that overlap",
            f"one label map cannot hold them; it takes {len(layers)}",
            "read it with read_label_layers",
            code="overlapping-segments",
        )
    return layers[0]


def read_label_layers(
    source: ImageSource, labels: Path | None = None, limits: Limits | None = None, *, image: Grid | None = None
) -> tuple[LabelMap, ...]:
    """Read a mask as the least number of label maps in which no two structures share a sample; values are unique over all of them."""
    bounds = limits or Limits()
    names = read_label_names(labels, bounds) if labels is not None else {}
    if source.kind == "dicom-seg":
        return tuple(_named(layer, names) for layer in read_dicom_seg(source, bounds))
    if source.kind in ("dicom-rtstruct", "lidc-xml"):
        if image is None:
            raise UsageError(
                f"{source.label} holds contours", "they have no grid of their own", "give the grid of their image"
            )
        if source.kind == "lidc-xml":
            return tuple(_named(layer, names) for layer in lidc_layers(source.path, image, bounds))
        return tuple(_named(layer, names) for layer in read_rtstruct(source, bounds, image))
    stored, grid, notes = _stored(source, bounds, keep=bool(names))
    array = _integers(stored, source.label)
    if not names:
        names, more = _own_name(array, source.path)
        notes += more
    orientation = Orientation.of(grid)
    canonical = np.ascontiguousarray(orientation.apply(array))
    return (LabelMap(canonical, orientation.apply_grid(grid), names, notes),)


def _named(layer: Layer, names: Mapping[int, str]) -> LabelMap:
    own = {value: names.get(value, name) for value, name in layer.names.items()}
    return LabelMap(layer.array, layer.grid, own, layer.notes)


def _stored(source: ImageSource, limits: Limits, *, keep: bool) -> tuple[npt.NDArray, Grid, tuple[str, ...]]:
    match source.kind:
        case "nifti":
            array, header = read_nifti(source.path, source.member, limits)
            if (header.slope, header.intercept) not in ((1.0, 0.0), (0.0, 0.0)):
                array = array * header.slope + header.intercept
            return array, header.grid, header.notes
        case "nrrd":
            return read_nrrd(source.path, limits)
        case "metaimage":
            return (*read_metaimage(source.path, limits), ())
        case "npy":
            return read_npy(source.path, limits)
        case "raster":
            return _raster(source, limits, keep=keep)
        case _:
            raise UsageError(f"{source.label} is an image, not a mask", mend="read it with read_image")


def _raster(source: ImageSource, limits: Limits, *, keep: bool) -> tuple[npt.NDArray, Grid, tuple[str, ...]]:
    """A picture as a mask: two grey levels, or any JPEG, are one structure; several levels are labels."""
    decoded = decode("raster", read_file(source.path, limits), source.path.name, limits)
    pixels = decoded.pixels[0]
    pixels = pixels.max(axis=-1) if pixels.ndim == 3 else pixels
    notes: tuple[str, ...] = ()
    if decoded.facts["format"] == "JPEG":
        # compression smears the edge of a mask over many levels
        pixels, notes = pixels > 127, ("jpeg-mask: a mask stored as JPEG; levels above 127 were taken as inside",)
    elif not keep and len(levels := np.unique(pixels)) <= 2 and levels[0] == 0:
        pixels = pixels > 0
    return (
        pixels.astype(np.uint8) if pixels.dtype == bool else pixels,
        Grid.picture((pixels.shape[0], pixels.shape[1])),
        notes,
    )


def _integers(array: npt.NDArray, name: str) -> npt.NDArray:
    """Return the smallest unsigned type that holds the labels exactly."""
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    low, high = array.min(initial=0), array.max(initial=0)
    if not (low >= 0 and high < 2**32) or (array.dtype.kind == "f" and not np.array_equal(array, np.rint(array))):
        raise UnreadableError(
            f"{name} holds no labels",
            f"values run from {low:g} to {high:g} and labels are whole numbers from 0",
            "give a label map, or threshold the probabilities",
            code="not-labels",
        )
    return array.astype(np.uint8 if high < 256 else np.uint16 if high < 65536 else np.uint32)


def _own_name(array: npt.NDArray, path: Path) -> tuple[dict[int, str], tuple[str, ...]]:
    """A mask of one structure is named by its file: `mask_lung.png`, `segmentations/liver.nii.gz`."""
    values = (
        np.flatnonzero(np.bincount(array.ravel(), minlength=1)) if array.max(initial=0) < 65536 else np.unique(array)
    )
    values = values[values > 0]
    if len(values) != 1:
        return {}, ()
    words = re.split(r"[^A-Za-z0-9-]+", plain_stem(path.name))
    named = is_mask_name([words[0].lower()]) or is_mask_name(tokens(path.parent.name))
    # a structure in several pieces is written as hip_left_000, hip_left_001
    name = "_".join(word for word in words if not is_mask_name([word.lower()]) and not re.fullmatch(r"\d{3}", word))
    if named and re.search("[A-Za-z]", name):
        return {int(values[0]): name}, ()
    return {}, ("unnamed-mask: one structure, and nothing says which; give a labels file",)


def read_label_names(path: Path, limits: Limits) -> dict[int, str]:
    """Return value -> name from JSON ({"1": "liver"} or {"liver": 1}, also below "labels") or from a TSV or CSV of value and name."""
    data = read_file(path, limits)
    limits.check("text_bytes", len(data), path.name)
    try:
        text = data.decode("utf-8-sig")
        names = _names_from_json(json.loads(text)) if path.suffix.lower() == ".json" else _names_from_table(text)
    except (ValueError, RecursionError, csv.Error) as error:
        raise UnreadableError(
            f"{path.name} is no labels file", str(error)[:200], "give JSON or TSV: value, name", code="labels"
        ) from error
    if not names:
        raise UnreadableError(
            f"{path.name} names no labels", "no line has a whole number and a name", "give value, name", code="labels"
        )
    return names


def _names_from_json(value: Any) -> dict[int, str]:
    if isinstance(value, dict) and isinstance(value.get("labels"), dict):
        value = value["labels"]
    if isinstance(value, list):
        return {i: str(name) for i, name in enumerate(value) if i and name}
    if not isinstance(value, dict):
        raise UnreadableError("the labels file is neither an object nor a list", code="labels")
    pairs = (_pair(str(a), str(b)) for a, b in value.items())
    return {number: name for number, name in pairs if number > 0}


def _names_from_table(text: str) -> dict[int, str]:
    delimiter = max("\t,;", key=text.split("\n", 1)[0].count)
    rows = [
        [cell.strip() for cell in row if cell.strip()] for row in csv.reader(io.StringIO(text), delimiter=delimiter)
    ]
    pairs = [_pair(row[0], row[1]) for row in rows if len(row) >= 2 and (row[0].isdigit() or row[1].isdigit())]
    return {number: name for number, name in pairs if number > 0}


def _pair(a: str, b: str) -> tuple[int, str]:
    return (int(a), b) if a.isdigit() else (int(b), a)


def write_labelmap(path: Path | None, array: npt.NDArray, grid: Grid) -> bytes:
    """Return the .nii.gz bytes of a label map on a canonical grid, and put them at `path` in one step; equal input, equal bytes.

    `read_labels` gives array and grid back.
    """
    if array.dtype.kind not in "bu":
        raise UsageError(f"a label map holds unsigned integers, not {array.dtype}")
    data = nifti_bytes(array.astype(np.uint8) if array.dtype.kind == "b" else array, grid)
    if path is not None:
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_bytes(data)
        aside.replace(path)
    return data
