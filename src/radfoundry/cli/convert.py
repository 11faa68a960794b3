"""`radfoundry convert SRC DST`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def convert(src: Path, dst: Path, *, family: str = "", json: bool = False) -> Any:
    """Turn a published checkpoint folder into one of ours; strict: missing and unexpected keys are listed and refused.

    Parameters
    ----------
    src
        The published folder: safetensors, or .bin/.pt, which a child process reads as weights only.
    dst
        The new checkpoint folder.
    family
        Which published model it is; recognised by its keys if not given.
    json
        Print what was written as a JSON line.
    """
    from radfoundry.cli import console
    from radfoundry.model.families.convert import convert as convert_checkpoint

    done = convert_checkpoint(src, dst, family or None)
    if json:
        console.say_json(
            {"folder": str(done.folder), "family": done.family, "tensors": done.tensors, "dropped": done.dropped}
        )
        return done
    console.say(f"{done.folder}: {done.family}, {done.tensors} tensors, {len(done.dropped)} dead keys left out")
    console.say_next(f"radfoundry info {done.folder}")
    return done
