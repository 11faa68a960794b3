"""The five corpus kinds, one file each: what goes in, which steps, which samples come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from radfoundry.builders.salt import corpus_salt
from radfoundry.errors import UsageError

if TYPE_CHECKING:
    from radfoundry.corpus import Pipeline
    from radfoundry.grounding.segmenters import Segmenter

__all__ = ["KINDS", "corpus_salt", "pipeline"]

KINDS = {
    "grounded-report": "sentences linked to organ masks, and the questions they answer (RadGenome-Chest CT)",
    "m3d": "boxes, masks and closed questions from labelled scans (M3D)",
    "description": "image + region + five-part description without reports (MedTrinity-25M)",
    "instruction": "interleaved 2D and 3D conversations (RadFM)",
    "summary": "reports as conversational summaries (XrayGPT)",
}


def pipeline(
    kind: str, root: Path, salt: str, regions: Sequence[str] = (), segmenters: Sequence[Segmenter] = ()
) -> Pipeline:
    """Return the pipeline of a corpus kind.

    regions: what m3d asks about, all if empty. segmenters: asked after the masks that came with a study and before the built-in one.
    Raises UsageError for a kind that is none of `KINDS`, and for regions or segmenters where the kind has no use for any.
    """
    if kind not in KINDS:
        raise UsageError(f"no corpus kind {kind!r}", f"there are {', '.join(KINDS)}", "radfoundry build --help")
    module = import_module(f"radfoundry.builders.{kind.replace('-', '_')}")
    if regions and kind != "m3d":
        raise UsageError(f"{kind} does not choose regions", "only m3d asks about single regions", "leave --regions out")
    made: Pipeline = module.pipeline(root, salt, regions) if regions else module.pipeline(root, salt)
    return _with_segmenters(made, segmenters) if segmenters else made


def _with_segmenters(made: Pipeline, segmenters: Sequence[Segmenter]) -> Pipeline:
    from radfoundry.builders.steps import FindRegions

    steps = tuple(step.asking(segmenters) if isinstance(step, FindRegions) else step for step in made.steps)
    if steps == made.steps:
        raise UsageError(f"{made.name} finds no regions", "it reads reports alone", "leave --segmenter out")
    return replace(made, steps=steps)
