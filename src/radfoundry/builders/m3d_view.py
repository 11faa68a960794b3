"""What is known of an image without looking: the plane of its slices, the phase of the contrast agent, what cannot be in view."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from radfoundry import anatomy
from radfoundry.records import Image, Region, Sentence

__all__ = ["PHASES", "PLANES", "VIEWS", "Phase", "organs_out_of_view", "phase_of", "plane_of"]

PLANES = ("axial", "coronal", "sagittal", "oblique")
VIEWS = ("frontal", "lateral", "oblique")
PHASES = ("non-contrast", "arterial", "portal venous", "delayed")

_SEVERAL = {"several"}
_SLICES = 1.2  # a plane is named where the step between slices is so much larger than both steps within them
_STRAIGHT = np.cos(np.deg2rad(20.0))
_WHOLE_BODY = 15  # structures from which on a label map is taken for a whole-body one


def plane_of(image: Image) -> str:
    """Return the plane in which a volume was acquired, "" where equal steps along all axes do not tell."""
    if image.dimensions != 3 or image.grid_unit != "mm":
        return ""
    across = int(np.argmax(image.spacing))
    inside = [step for axis, step in enumerate(image.spacing) if axis != across]
    if image.spacing[across] < _SLICES * max(inside):
        return ""
    normal = image.grid.direction_matrix[:, 2 - across]  # its columns are x, y, z
    return PLANES[across] if np.abs(normal).max() >= _STRAIGHT else "oblique"


class Phase(NamedTuple):
    """`name` is one of `PHASES`, or "" where only `agent`, whether a contrast agent was given, is known; `evidence` is a row's id."""

    name: str
    agent: bool
    evidence: str


def phase_of(image: Image, technique: Iterable[Sentence]) -> Phase | None:
    """Return what header or technique say of the contrast agent in a CT; None where they say nothing, or name several phases."""
    if image.modality != "CT" or image.dimensions != 3:
        return None
    sources = [(image.contrast, image.image_id), *((s.text, s.sentence_id) for s in technique)]
    for text, source in sources:
        told = _phases_in(text)
        if len(told) > 1 or told & _SEVERAL:
            return None
        for name in told:
            return Phase("" if name == "given" else name, name != "non-contrast", source)
    return Phase("", True, image.image_id) if image.contrast.strip() else None


@cache
def _phase_terms() -> tuple[tuple[re.Pattern[str], str], ...]:
    text = files("radfoundry.builders").joinpath("m3d_phases.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple((re.compile(rf"\b{re.escape(row['term'])}\b"), row["phase"]) for row in rows)


def _phases_in(text: str) -> set[str]:
    """The phases that a text names; a longer term hides the shorter one inside it, and an enhanced phase that an agent was given."""
    rest, told = " ".join(text.lower().split()), set()
    for term, phase in _phase_terms():
        rest, hits = term.subn("|", rest)
        told |= {phase} if hits else set()
    return told - {"given"} if told & set(PHASES[1:]) else told


def organs_out_of_view(regions: Sequence[Region]) -> list[str]:
    """Return organs that cannot be in the image: nothing of the part of the body where they lie is labelled.

    What is not labelled need not be absent: only a label map of a whole body tells, one with many structures, bones among them.
    """
    present = {r.name for r in regions if anatomy.is_structure(r.name)}
    if len(present) < _WHOLE_BODY or not any(anatomy.region(name).kind == "bone" for name in present):
        return []
    seen = {zone for name in present for zone in _zones(name)}
    named = {row.region for row in anatomy.crosswalk("totalsegmentator_v2").mappings}
    return sorted(r.name for r in named if r.kind == "organ" and _zones(r.name) and not seen & _zones(r.name))


def _zones(name: str) -> set[str]:
    whole = {"body", "tissue"}
    return {r.name for r in anatomy.ancestors(name) if r.kind == "zone" and r.name not in whole}
