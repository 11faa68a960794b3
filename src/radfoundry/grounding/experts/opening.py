"""From a word of the command line to a segmenter: a template's name, a TOML file, or a folder of masks."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError
from radfoundry.grounding.experts.expert import Expert
from radfoundry.grounding.mask_folder import MaskFolder
from radfoundry.grounding.segmenters import Segmenter

__all__ = ["TEMPLATES", "open_segmenter", "read_expert"]

TEMPLATES = ("totalsegmentator", "totalsegmentator-mr", "nnunet", "sat")
_FOLDER = "masks:"


def open_segmenter(what: str, *, here: bool = True) -> Segmenter:
    """Return the segmenter that a word names: one of `TEMPLATES`, the path of a TOML file, or `masks:FOLDER`.

    `masks:FOLDER` takes RadGenome's published mask folders (`seg_VOLUME/REGION.nii.gz`, at any depth below FOLDER). here: it will run on
    this machine. Raises UsageError for anything else, for a template that still has to be filled in, and for a program that is not here.
    """
    if what.startswith(_FOLDER):
        return MaskFolder.at(Path(what.removeprefix(_FOLDER)))
    expert = read_expert(_template(what), what)
    if here and shutil.which(expert.command[0]) is None:
        raise UsageError(
            f"{expert.name} is not installed",
            f"there is no program {expert.command[0]!r}",
            "install it, or give its path in a template of your own",
        )
    return expert


def _template(what: str) -> str:
    if what in TEMPLATES:
        return files("radfoundry.grounding.experts").joinpath(f"templates/{what}.toml").read_text("utf-8")
    path = Path(what)
    if path.suffix == ".toml" and path.is_file():
        return path.read_text(encoding="utf-8")
    raise UsageError(
        f"no segmenter {what!r}",
        f"there are the templates {', '.join(TEMPLATES)}, a TOML file of your own, and masks:FOLDER",
        "see docs/segmenters.md",
    )


def read_expert(text: str, name: str) -> Expert:
    """Return the expert that a TOML text describes: the fields of `Expert`, with `names` as a table of value = "name"."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is no TOML", str(error), "see docs/segmenters.md") from error
    known = {f.name for f in fields(Expert)}
    if set(table) - known or not {"name", "command"} <= set(table):
        raise UsageError(
            f"{name} is no template",
            f"it has {', '.join(sorted(table))}; known are {', '.join(sorted(known))}; name and command are needed",
            "see docs/segmenters.md",
        )
    unfilled = [argument for argument in table["command"] if str(argument).startswith("FILL-IN")]
    if unfilled:
        raise UsageError(
            f"{name} has to be filled in",
            f"its command has {', '.join(unfilled)}",
            "copy the template, fill it in, and give its path",
        )
    try:
        return Expert(**{key: _typed(key, value) for key, value in table.items()})
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} is no template", str(error), "see docs/segmenters.md") from error


def _typed(key: str, value: Any) -> Any:
    if key == "names":
        return tuple(sorted((int(number), str(word)) for number, word in value.items()))
    if key == "seconds":
        return float(value)
    return tuple(map(str, value)) if isinstance(value, list) else str(value)
