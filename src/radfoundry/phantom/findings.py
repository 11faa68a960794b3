"""What is wrong with a patient, what was wrong before, and what has become of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from radfoundry.phantom import lung_findings as lung
from radfoundry.phantom import other_findings as other
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.lesion import Lesion, with_lesions
from radfoundry.phantom.patient import Patient

__all__ = ["Dated", "draw_history", "draw_lesions"]

# a lesion and its change since the prior study, "" without one
Dated = tuple[Lesion, str]

Draw = Callable[[Dice, Patient, Sequence[Lesion]], list[Lesion]]

# in the order of painting: what changes an organ's size, then what fills spaces, then what has a place of its own
_DRAWS: dict[str, Draw] = {
    "cardiomegaly": other.cardiomegaly,
    "aortic dilatation": other.aortic_dilatation,
    "emphysema": lung.emphysema,
    "pleural effusion": lung.effusion,
    "pneumothorax": lung.pneumothorax,
    "pericardial effusion": other.pericardial_effusion,
    "consolidation": lung.consolidation,
    "ground glass opacity": lung.ground_glass,
    "atelectasis": lung.atelectasis,
    "lung mass": lung.mass,
    "lung nodule": lung.nodule,
    "lymphadenopathy": other.lymphadenopathy,
    "hiatal hernia": other.hiatal_hernia,
    "coronary calcification": other.coronary_calcification,
    "arterial calcification": other.arterial_calcification,
    "fracture": other.fracture,
    "liver lesion": other.liver_lesion,
    "liver cyst": other.liver_cyst,
    "kidney cyst": other.kidney_cyst,
}

# drawn twice as often as the others
_COMMON = ("lung nodule", "lung mass", "pleural effusion", "consolidation", "cardiomegaly")


def draw_lesions(dice: Dice, who: Patient, taken: Sequence[Lesion] = ()) -> list[Lesion]:
    """Return a patient's findings, none for about a third, else those of two to five kinds; none lies where it is taken."""
    if dice.chance(1 / 3):
        return []
    wanted = set(dice.shuffled([*_DRAWS, *_COMMON])[: dice.whole(2, 5)])
    drawn: list[Lesion] = []
    for name, draw in _DRAWS.items():
        if name in wanted:
            drawn += draw(dice, with_lesions(who, drawn), [*taken, *drawn])
    return drawn


def draw_history(dice: Dice, who: Patient, now: Sequence[Lesion]) -> tuple[list[Lesion], list[Dated]]:
    """Return what was there before, and what became of it ("new", "larger", "smaller", "unchanged", "resolved")."""
    before: list[Lesion] = []
    changes: list[Dated] = []
    for lesion in now:
        change = dice.pick(("new", "unchanged", "larger", "smaller"))
        if not _can_change(lesion, change):
            change = "unchanged"
        if change != "new":
            before.append(lesion.grown(_THEN.get(change, 1.0)))
        changes.append((lesion, change))
    known = {lesion.concept for lesion in now}
    for lesion in draw_lesions(dice, who, now):
        if lesion.concept not in known and lesion.concept in _RESOLVES:
            before.append(lesion)
            changes.append((lesion, "resolved"))
            known.add(lesion.concept)
    return sorted(before, key=lambda lesion: list(_DRAWS).index(lesion.concept)), changes


_RESOLVES = (
    "pleural effusion", "pneumothorax", "pericardial effusion", "consolidation", "ground glass opacity", "atelectasis", "lung nodule",
    "lymphadenopathy",
)  # fmt: skip

# how large it was then, for what it has become
_THEN = {"larger": 0.68, "smaller": 1.3}
_SMALLEST_MM = 15.0


def _can_change(lesion: Lesion, change: str) -> bool:
    if change not in _THEN:
        return True
    small = lesion.size_mm is not None and lesion.size_mm * _THEN[change] < _SMALLEST_MM
    return lesion.shape is not None and not small
