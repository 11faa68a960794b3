"""From an array to what a published model takes: an 8-bit picture, windowed first, or a volume; and which part of it is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from radfoundry.errors import UsageError
from radfoundry.model.config import VLMConfig

__all__ = ["Part", "as_picture", "need_volume", "square", "whole"]

Part = tuple[tuple[int, int], ...]
"""Per axis of the image its first sample in view and the one behind the last; padding lies outside."""


def whole(pixels: NDArray[Any], modality: str, config: VLMConfig) -> Part:
    """All of the image."""
    del modality, config
    return tuple((0, n) for n in spatial_shape(pixels))


def square(pixels: NDArray[Any], least: int = 0) -> Part:
    """A picture in the middle of a square of its longer side, or of `least`."""
    shape = spatial_shape(pixels)
    side = max(least, *shape)
    return tuple((-((side - n) // 2), side - (side - n) // 2) for n in shape)


def spatial_shape(pixels: NDArray[Any]) -> tuple[int, ...]:
    """The shape without the colours."""
    return pixels.shape[:-1] if is_colour(pixels) else pixels.shape


def is_colour(pixels: NDArray[Any]) -> bool:
    """Is it a colour picture `[y, x, 3]`?"""
    return pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8


def as_picture(pixels: NDArray[Any]) -> Image.Image:
    """A picture `[y, x]` (any range) from its 1st to its 99th percentile in 8 bit; `[y, x, 3]` bytes as they are.

    Published code converts 16 bit to RGB directly, which saturates; here the range is brought to 8 bit before.

    Raises:
        UsageError: the array is a volume.
    """
    if is_colour(pixels):
        return Image.fromarray(pixels)
    if pixels.ndim != 2:
        raise UsageError(f"an image of shape {pixels.shape}", "this model reads pictures", "ask about one slice of it")
    low, high = np.percentile(pixels, (1, 99))
    scaled = np.clip((pixels - low) / max(float(high - low), 1e-6), 0, 1)
    return Image.fromarray((scaled * 255).round().astype(np.uint8))


def need_volume(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """The array as a float32 volume `[z, y, x]`.

    Raises:
        UsageError: it is a picture.
    """
    if pixels.ndim != 3:
        raise UsageError(f"an image of shape {pixels.shape}", "this model reads volumes", "give it the whole scan")
    return pixels.astype(np.float32)
