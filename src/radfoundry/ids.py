"""Identifiers that follow from content: same input, same id, on any machine."""

from __future__ import annotations

import hashlib
import re
import struct
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["KINDS", "make_id", "normalised_text", "settings_hash"]

KINDS = {
    "study": "sty",
    "patient": "pat",
    "series": "ser",
    "image": "img",
    "report": "rep",
    "sentence": "sen",
    "finding": "fnd",
    "region": "reg",
    "link": "lnk",
    "description": "dsc",
    "sample": "smp",
    "review": "rev",
}


def make_id(kind: str, *parts: Any) -> str:
    """Return `<kind>_<20 hex>`, BLAKE2b over the typed parts.

    Parts are str, bytes, bool, int, float, None, NumPy arrays (dtype and shape count) or tuples and lists of these; each carries its
    type and length, so that ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.blake2b(digest_size=10, person=b"radfoundry")
    for chunk in _chunks(parts):
        digest.update(chunk)
    return f"{KINDS[kind]}_{digest.hexdigest()}"


def _chunks(part: Any) -> Iterable[bytes | memoryview]:
    if part is None:
        yield b"n"
    elif isinstance(part, bool | np.bool_):
        yield b"b1" if part else b"b0"
    elif isinstance(part, int | np.integer):
        yield b"i%d;" % int(part)
    elif isinstance(part, float | np.floating):
        # -0.0 and 0.0 are one place in a patient
        yield b"f" + struct.pack("<d", float(part) + 0.0)
    elif isinstance(part, str):
        raw = part.encode("utf-8", "surrogatepass")
        yield b"s%d:" % len(raw)
        yield raw
    elif isinstance(part, bytes):
        yield b"y%d:" % len(part)
        yield part
    elif isinstance(part, np.ndarray):
        array = np.ascontiguousarray(part.astype(part.dtype.newbyteorder("<"), copy=False))
        yield f"a{array.dtype.str}{array.shape}:".encode()
        yield array.data.cast("B") if array.size else b""
    elif isinstance(part, tuple | list):
        yield b"t%d:" % len(part)
        for inner in part:
            yield from _chunks(inner)
    else:
        raise TypeError(f"an id cannot be made from {type(part).__name__}")


_SPACE = re.compile(r"\s+")


def normalised_text(text: str) -> str:
    """Return the text as its id sees it: NFC, runs of white space as one blank, none at the ends."""
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()


def settings_hash(settings: dict[str, Any]) -> str:
    """Return 12 hex digits that name a step's settings, whatever the order of its keys."""
    digest = hashlib.blake2b(digest_size=6, person=b"radfoundry")
    for key in sorted(settings):
        for chunk in _chunks((key, _plain(settings[key]))):
            digest.update(chunk)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _plain(value[key])) for key in sorted(value)]
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value
