"""The structures a phantom has, and how dense each is in a given patient and phase (`structures.tsv`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from radfoundry.phantom.canvas import Canvas, Field, Patch
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.patient import Patient

__all__ = ["ORGANS", "PHASES", "Painter", "Tissues", "draw_tissues", "organ_names"]

PHASES = ("non-contrast", "arterial", "portal venous")


@dataclass(frozen=True)
class _Structure:
    value: int
    name: str
    hu: dict[str, float]
    spread: float


@cache
def _structures() -> dict[str, _Structure]:
    text = resources.files(__package__).joinpath("structures.tsv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {
        row["name"]: _Structure(
            int(row["value"]), row["name"], {p: float(row[p]) for p in PHASES}, float(row["spread"])
        )
        for row in rows
    }


def organ_names() -> dict[int, str]:
    """Return label value -> region name of every structure that is painted."""
    return {s.value: s.name for s in _structures().values()}


ORGANS = {name: value for value, name in organ_names().items()}


@dataclass(frozen=True)
class Tissues:
    """The HU of each structure in this patient and phase."""

    phase: str
    hu: dict[str, float]


def draw_tissues(dice: Dice, phase: str) -> Tissues:
    """Return the patient's own HU: the table's mean of the phase, spread; sides and lobes share a draw."""
    shared: dict[str, float] = {}
    hu = {}
    for s in _structures().values():
        kind = s.name.removeprefix("left ").removeprefix("right ").replace("lung middle lobe", "lung upper lobe")
        if kind not in shared:
            shared[kind] = dice.middling(-1, 1)
        hu[s.name] = s.hu[phase] + shared[kind] * s.spread
    return Tissues(phase, hu)


class Painter:
    """Canvas, patient and tissues together, so that a line of anatomy is a line of code."""

    def __init__(self, canvas: Canvas, patient: Patient, tissues: Tissues) -> None:
        self.canvas, self.patient, self.tissues = canvas, patient, tissues

    def paint(self, patch: Patch, name: str, *, hu: float | Field | None = None) -> None:
        """Paint a patch as the named structure, in its own HU unless told otherwise."""
        self.canvas.paint(patch, self.tissues.hu[name] if hu is None else hu, organ=ORGANS[name])
