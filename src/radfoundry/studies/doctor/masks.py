"""Labels against their image: place, size, and the HU under each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from radfoundry.errors import RadfoundryError
from radfoundry.studies.doctor.finding import Finding, of_error, of_note
from radfoundry.studies.doctor.sides import name_side_findings
from radfoundry.studies.guess import tokens
from radfoundry.studies.labels import LabelMap, read_label_layers
from radfoundry.studies.limits import Limits
from radfoundry.studies.placing import place_labels
from radfoundry.studies.read import ReadImage
from radfoundry.studies.sources import MaskSource

__all__ = ["mask_findings"]

# fewer samples say nothing about a mean
_LEAST = 20


def mask_findings(
    image_path: str,
    path: str,
    mask: MaskSource,
    image: ReadImage,
    plausible_hu: Mapping[str, tuple[float, float]],
    numbering: Mapping[int, str],
    limits: Limits,
) -> Iterator[Finding]:
    """Yield what is wrong between a mask and its image: it does not read, lies elsewhere, or its regions read implausible HU."""
    try:
        layers = read_label_layers(mask.source, mask.labels, limits, image=image.grid)
        placed = [place_labels(layer, image.grid) for layer in layers]
    except RadfoundryError as error:
        yield of_error(path, error)
        return
    for layer, put in zip(layers, placed, strict=True):
        for note in layer.notes:
            yield of_note(path, note)
        # the usual numbering is that of CT; MR label maps count differently
        names, told = _names(layer, numbering if image.modality in ("CT", "") else {})
        if told:
            yield Finding(path, *told)  # type: ignore[arg-type]
        count = int(np.count_nonzero(np.bincount(put.array.ravel())[1:]))
        yield Finding(path, "info", "mask-reads", f"{count} labels on {image_path}")
        if put.outside > 0.01:
            yield Finding(
                path,
                "warning",
                "label-outside",
                f"{put.outside:.0%} of what is labelled lies outside {image_path}",
                "check the affines",
            )
        if image.unit == "HU":
            yield from _hu_findings(path, image_path, put.array, image, names, plausible_hu)
        yield from name_side_findings(path, put.array, image.grid, names)


def _names(layer: LabelMap, numbering: Mapping[int, str]) -> tuple[Mapping[int, str], tuple[str, str, str, str] | None]:
    """Return value -> name, and a finding where names are missing or assumed."""
    if layer.names:
        return layer.names, None
    values = {int(v) for v in np.unique(layer.array) if v}
    if len(values) < 2 or not numbering:
        return {}, None if len(values) < 2 else (
            "warning",
            "unnamed-labels",
            f"{len(values)} values without names",
            "give a labels file",
        )
    unknown = sorted(values - set(numbering))
    if unknown:
        shown = ", ".join(map(str, unknown[:5]))
        return {}, (
            "error",
            "unnamed-labels",
            f"values {shown} are in no numbering that is known",
            "give a labels file: value, name",
        )
    return numbering, ("info", "assumed-numbering", "no labels file: the numbering that is usual was assumed", "")


def _hu_findings(
    path: str,
    image_path: str,
    labels: npt.NDArray,
    image: ReadImage,
    names: Mapping[int, str],
    plausible_hu: Mapping[str, tuple[float, float]],
) -> Iterator[Finding]:
    counts = np.bincount(labels.ravel())
    sums = np.bincount(labels.ravel(), weights=image.pixels.ravel())
    ranges = {_plain(name): bounds for name, bounds in plausible_hu.items()}
    checked, wrong = 0, []
    for value in np.flatnonzero(counts >= _LEAST):
        bounds = ranges.get(_plain(names.get(int(value), ""))) if value else None
        if bounds is None:
            continue
        mean = sums[value] / counts[value]
        checked += 1
        if not bounds[0] <= mean <= bounds[1]:
            wrong.append((max(bounds[0] - mean, mean - bounds[1]), names[int(value)], mean, bounds))
    if not wrong:
        return
    wrong.sort(reverse=True)
    shown = "; ".join(
        f"{name} reads {mean:.0f} HU, plausible is {low:g} to {high:g}" for _, name, mean, (low, high) in wrong[:3]
    )
    level = "error" if len(wrong) >= max(2, 0.2 * checked) or len(wrong) == checked else "warning"
    yield Finding(
        path,
        level,  # type: ignore[arg-type]
        "implausible-hu",
        f"{len(wrong)} of {checked} regions read HU that they cannot have on {image_path}: {shown}",
        "the labels do not fit this image: check that they were drawn on it, and the origins of both",
    )


def _plain(name: str) -> str:
    """Names of regions differ between files in case and in how words are joined."""
    return " ".join(tokens(name))
