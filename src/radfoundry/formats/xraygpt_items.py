"""XrayGPT's annotation files and its caption processor, as released (Thawkar et al. 2023, arXiv 2306.07971).

`<storage>/filter_cap.json` holds `{"annotations": [{"image_id", "caption"}]}`, the pictures lie flat in `<storage>/image`. The
released data classes give captions as they are: the processor below is configured and never called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radfoundry.errors import UnreadableError

__all__ = ["SUFFIXES", "CaptionItem", "caption_items", "openi_id", "process_caption", "read_annotations"]

SUFFIXES = {"mimic": ".jpg", "openi": ".png"}
"""Which pictures each released class opens."""

_BLANKED = re.compile(r"[.!\"()*#:;~]")
_RUNS = re.compile(r"\s{2,}")
_OPENI = re.compile(r"CXR\d+_IM-(\d+)-(\d)\d{3}")


@dataclass(frozen=True)
class CaptionItem:
    """One annotation. number: by first appearance of its id, which is what the released classes call `image_id`; instance: its place."""

    file: str
    caption: str
    number: int
    image_id: str
    instance: str


def read_annotations(path: Path) -> list[Mapping[str, Any]]:
    """Return the annotations of a file. Raises UnreadableError where it has none of the right shape."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["annotations"]
        for row in found:
            _ = str(row["image_id"]), str(row["caption"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(
            f"{path.name} holds no captions", f"{type(error).__name__}: {error}", "give filter_cap.json"
        ) from error
    return list(found)


def caption_items(
    annotations: Iterable[Mapping[str, Any]], kind: Literal["mimic", "openi"], storage: Path | None = None
) -> list[CaptionItem]:
    """Return the items of annotations, captions as they are.

    storage: where `image/` lies; with it a picture is looked for under any known suffix before the one that the class opens.
    """
    numbers: dict[str, int] = {}
    items = []
    for place, row in enumerate(annotations):
        image_id = str(row["image_id"])
        number = numbers.setdefault(image_id, len(numbers))
        file = f"image/{image_id}{_suffix(image_id, kind, storage)}"
        items.append(CaptionItem(file, str(row["caption"]), number, image_id, str(place)))
    return items


def _suffix(image_id: str, kind: str, storage: Path | None) -> str:
    known = dict.fromkeys([SUFFIXES[kind], *SUFFIXES.values(), ".jpeg"])
    there = (
        suffix for suffix in known if storage is not None and (storage / "image" / f"{image_id}{suffix}").is_file()
    )
    return next(there, SUFFIXES[kind])


def openi_id(file_name: str) -> str:
    """Return the id under which the annotations know an Open-i file: "CXR3_IM-1384-1001.png" is "1384_1"; "" for another name."""
    found = _OPENI.match(file_name)
    return f"{found[1]}_{found[2]}" if found else ""


def process_caption(text: str, *, max_words: int = 50, prompt: str = "") -> str:
    """Return a caption as the configured processor would write it: lower case, some marks blanked, so many words, after a prefix."""
    plain = _RUNS.sub(" ", _BLANKED.sub(" ", text.lower())).rstrip("\n").strip(" ")
    return prompt + " ".join(plain.split(" ")[:max_words])
