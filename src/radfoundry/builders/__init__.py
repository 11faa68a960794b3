"""The five corpus kinds, one file each: what goes in, which steps, which samples come out."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from radfoundry.builders.salt import corpus_salt
from radfoundry.errors import UsageError

if TYPE_CHECKING:
    from radfoundry.corpus import Pipeline

__all__ = ["KINDS", "corpus_salt", "pipeline"]

KINDS = {
    "grounded-report": "sentences linked to organ masks, and the questions they answer (RadGenome-Chest CT)",
    "m3d": "boxes, masks and closed questions from labelled scans (M3D)",
    "description": "image + region + five-part description without reports (MedTrinity-25M)",
    "instruction": "interleaved 2D and 3D conversations (RadFM)",
    "summary": "reports as conversational summaries (XrayGPT)",
}


def pipeline(kind: str, root: Path, salt: str, regions: Sequence[str] = ()) -> Pipeline:
    """Return the pipeline of a corpus kind; `regions` narrows what m3d asks about.

    Raises UsageError for a kind that is none of `KINDS`, and for regions where the kind does not choose any.
    """
    if kind not in KINDS:
        raise UsageError(f"no corpus kind {kind!r}", f"there are {', '.join(KINDS)}", "radfoundry build --help")
    module = import_module(f"radfoundry.builders.{kind.replace('-', '_')}")
    if not regions:
        return module.pipeline(root, salt)
    if kind != "m3d":
        raise UsageError(f"{kind} does not choose regions", "only m3d asks about single regions", "leave --regions out")
    return module.pipeline(root, salt, regions)
