"""A patient on a canvas at one time: anatomy, lesions, and which of them can be seen at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from radfoundry.geometry import Grid
from radfoundry.phantom.canvas import Canvas
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.findings import Dated
from radfoundry.phantom.lesion import Lesion, paint_lesion, with_lesions
from radfoundry.phantom.organs import paint_anatomy
from radfoundry.phantom.patient import HEIGHT_MM, WIDTH_MM, Patient
from radfoundry.phantom.tissues import ORGANS, PHASES, draw_tissues, organ_names
from radfoundry.phantom.truth import CONCEPTS, TruthFinding

__all__ = ["FIRST_LESION", "Scene", "Seen", "paint_scene", "truth_of"]

# labels of lesions begin here; below are the structures of structures.tsv
FIRST_LESION = 101

# what is left of a lesion behind others must be this large to count
LEAST_MM3 = 1400.0


@dataclass(frozen=True)
class Seen:
    """A lesion that can be seen: its change since the prior, its label, its difference to what it replaced."""

    lesion: Lesion
    change: str
    value: int
    contrast_hu: float | None


@dataclass(frozen=True)
class Scene:
    """What the scanner gets to see."""

    who: Patient
    phase: str
    canvas: Canvas
    seen: tuple[Seen, ...]

    @property
    def names(self) -> dict[int, str]:
        """Value -> region name or concept."""
        return organ_names() | {s.value: s.lesion.concept for s in self.seen if s.value >= FIRST_LESION}


def paint_scene(dice: Dice, vessels: Dice, who: Patient, dated: Sequence[Dated], shape: tuple[int, int, int]) -> Scene:
    """Paint a patient with all findings that are not resolved; a lesion that others hide is taken out again."""
    lesions = [(lesion, change) for lesion, change in dated if change != "resolved"]
    who = with_lesions(who, [lesion for lesion, _ in lesions])
    phase = dice.pick(PHASES)
    canvas = Canvas(_grid(shape), who.off_centre)
    paint_anatomy(canvas, who, draw_tissues(dice, phase), vessels)
    contrasts = [paint_lesion(canvas, who, lesion, v, dice) for v, (lesion, _) in enumerate(lesions, FIRST_LESION)]
    least = LEAST_MM3 / canvas.grid.voxel_mm3
    seen = []
    for value, ((lesion, change), contrast) in enumerate(zip(lesions, contrasts, strict=True), FIRST_LESION):
        there = canvas.lesions == value
        if lesion.shape is None:
            seen.append(Seen(lesion, change, ORGANS[lesion.region], None))
        elif np.count_nonzero(there) >= least:
            seen.append(Seen(lesion, change, value, contrast))
        else:
            canvas.lesions[there] = 0
    return Scene(who, phase, canvas, tuple(seen))


def _grid(shape: tuple[int, int, int]) -> Grid:
    spacing = (HEIGHT_MM / shape[0], WIDTH_MM / shape[1], WIDTH_MM / shape[2])
    corner = -0.5 * WIDTH_MM
    return Grid.axial(shape, spacing, (corner + spacing[2] / 2, corner + spacing[1] / 2, spacing[0] / 2))


def truth_of(scene: Scene, dated: Sequence[Dated], noise_hu: float) -> list[TruthFinding]:
    """Return a row for each lesion that is seen, and one for each finding that the patient does not have."""
    rows = [
        TruthFinding(
            s.lesion.concept, "present", s.lesion.side, s.lesion.region, s.lesion.size_mm, s.value, change=s.change,
            contrast=None if s.contrast_hu is None else s.contrast_hu / noise_hu,
        )
        for s in scene.seen
    ]  # fmt: skip
    gone = {lesion.concept for lesion, change in dated if change == "resolved"}
    present = {row.concept for row in rows}
    for concept, region in CONCEPTS.items():
        if concept not in present:
            change = "resolved" if concept in gone else ""
            rows.append(replace(_ABSENT, concept=concept, region=region, change=change))
    return rows


_ABSENT = TruthFinding("", "absent", "none", "", None, None)
