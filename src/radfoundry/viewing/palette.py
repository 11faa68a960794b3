"""One colour a region, the same in every picture, page and session, and apart from the others for colour-blind eyes."""

from __future__ import annotations

import csv
import hashlib
import re
from functools import cache
from importlib.resources import files

from radfoundry.geometry import Side

__all__ = ["hex_to_rgb", "palette", "region_colour", "region_label"]


def region_label(name: str, side: Side = "none") -> str:
    """Return the words for a region: "left kidney" for ("kidney", "left"); a side already in the name is not said twice."""
    words = name.replace("_", " ").strip()
    said = side in words.lower().split()
    return f"{side} {words}" if side in ("left", "right") and not said else words


def region_colour(name: str, side: Side = "none") -> str:
    """Return `#rrggbb` of a region.

    The order of the words does not matter (`kidney_left` is `left kidney`); a side that is not listed has the colour of the
    unsided name. Regions that region_colours.tsv does not list get the
    palette colour that their name hashes to: stable, but two of them may share one.
    """
    key = _key(region_label(name, side))
    listed = _listed().get(key) or _listed().get(tuple(word for word in key if word not in ("left", "right")))
    if listed:
        return listed
    digest = hashlib.blake2b(" ".join(key).encode(), digest_size=4).digest()
    return palette()[int.from_bytes(digest, "big") % len(palette())]


def hex_to_rgb(colour: str) -> tuple[int, int, int]:
    """Return (red, green, blue), 0 to 255, of `#rrggbb`."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


@cache
def palette() -> tuple[str, ...]:
    """Return the palette: the six light Okabe-Ito colours, then nine chosen greedily.

    Each is at least 16 CIELAB units from every other to normal, protan and deutan eyes (Machado 2009), and lighter than L* 48.
    """
    return tuple(row["colour"] for row in _rows("palette.tsv"))


@cache
def _listed() -> dict[tuple[str, ...], str]:
    return {_key(row["region"]): row["colour"] for row in _rows("region_colours.tsv")}


def _rows(name: str) -> list[dict[str, str]]:
    text = (files(__package__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def _key(name: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r"\w+", name.lower().replace("_", " "))))
