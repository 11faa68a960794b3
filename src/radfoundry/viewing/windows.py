"""From intensities to the grey that an eye is shown: presets in HU for CT, percentiles for everything else."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UsageError

__all__ = ["Window", "find_window", "presets", "window"]

# Percentiles of 200,000 samples are steady to a tenth of a percent; sorting a whole CT would take seconds.
_SAMPLES = 200_000


class Window(NamedTuple):
    """The intensities shown as black and as white."""

    low: float
    high: float

    def apply(self, pixels: npt.NDArray) -> npt.NDArray[np.uint8]:
        """Return the grey values, 0 to 255, same shape."""
        scaled = (pixels.astype(np.float32) - self.low) * (255.0 / max(self.high - self.low, 1e-6))
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def presets(modality: str) -> tuple[str, ...]:
    """Return the names of a modality's presets in key order; "full" alone where there is no absolute scale."""
    return tuple(_settings()["CT"]["presets"]) if modality == "CT" else ("full",)


def find_window(pixels: npt.NDArray, modality: str, preset: str | None = None) -> Window:
    """Return the window of a whole image, so that all of its slices share one.

    preset: one of `presets(modality)`; None is soft tissue for CT and percentiles for the rest.
    Raises UsageError for a preset that the modality does not have.
    """
    if preset is not None and preset not in presets(modality):
        raise UsageError(
            f"no window named {preset!r} for {modality}",
            "",
            f"use one of: {', '.join(presets(modality))}",
            code="window",
        )
    if modality == "CT":
        chosen = _settings()["CT"]["presets"][preset or _settings()["CT"]["default"]]
        if chosen:
            return Window(chosen["centre"] - chosen["width"] / 2, chosen["centre"] + chosen["width"] / 2)
    if preset == "full":
        return Window(float(pixels.min()), float(pixels.max()))
    percentiles = _settings()["percentiles"]
    low, high = np.percentile(_thinned(pixels), percentiles.get(modality, percentiles["other"]))
    return Window(float(low), float(high)) if high > low else Window(float(pixels.min()), float(pixels.max()))


def window(pixels: npt.NDArray, modality: str, preset: str | None = None) -> npt.NDArray[np.uint8]:
    """Return grey values, 0 to 255, of a picture or a volume in its own window."""
    return find_window(pixels, modality, preset).apply(pixels)


def _thinned(pixels: npt.NDArray) -> npt.NDArray:
    """Return at most `_SAMPLES` intensities, the same ones each time."""
    flat = pixels.reshape(-1)
    return flat[:: -(-flat.size // _SAMPLES)]


@cache
def _settings() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "windows.toml").read_text(encoding="utf-8"))
