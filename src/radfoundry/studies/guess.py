"""What a file's name says about the modality and the view, where the file itself cannot say; the words are in data/name_words.tsv."""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

__all__ = ["name_says", "tokens"]


def tokens(name: str) -> list[str]:
    """Return the words of a file name in lower case: "CT_image.nii.gz" gives ct, image, nii, gz."""
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def name_says(path: Path) -> tuple[str, str]:
    """Return modality and view ("" each): the first known word of the file's name, else, for the modality, of its folder's."""
    own = tokens(path.name)
    modality = next((m for word in own + tokens(path.parent.name) if (m := _words("modality").get(word))), "")
    view = next((v for word in own if (v := _words("view").get(word))), "")
    return modality, view


@cache
def _words(says: str) -> dict[str, str]:
    text = files("radfoundry.studies").joinpath("data/name_words.tsv").read_text(encoding="utf-8")
    return {
        row["word"]: row["value"] for row in csv.DictReader(text.splitlines(), delimiter="\t") if row["says"] == says
    }
