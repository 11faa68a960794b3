"""Make a phantom: a patient who never was, scanned, reported, and known to the last voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UsageError
from radfoundry.geometry import Grid
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.findings import Dated, draw_history, draw_lesions
from radfoundry.phantom.patient import Patient, draw_patient
from radfoundry.phantom.radiograph import XRAY_NAMES, project, project_labels
from radfoundry.phantom.scanner import scan
from radfoundry.phantom.scene import FIRST_LESION, paint_scene, truth_of
from radfoundry.phantom.tissues import ORGANS
from radfoundry.phantom.truth import XRAY_CONCEPTS, TruthFinding, TruthLink
from radfoundry.phantom.wording import write_report

__all__ = ["PHANTOM_VERSION", "SIZES", "Phantom", "make_phantom"]

PHANTOM_VERSION = 1

SIZES = {"demo": (32, 64, 64), "standard": (96, 160, 160)}


@dataclass(frozen=True)
class Phantom:
    """One study whose truth is known.

    volume: int16 HU [z, y, x] on the canonical `grid`; labels: uint8, structures with the lesions (value 101 and up) over them;
    organs: uint8, the structures alone; label_names: value -> region name, or the concept of a lesion; report, truth, links: of the CT.
    xray: uint8 [y, x], dense is bright, head on top, the patient's right on the picture's left, with its own grid (mm), labels, report
    and truth. prior: the same patient earlier. phase: of the contrast agent.
    """

    key: str
    patient_key: str
    split: str
    age: int
    sex: str
    phase: str
    grid: Grid
    volume: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    organs: npt.NDArray[np.uint8]
    label_names: dict[int, str]
    report: str
    truth: tuple[TruthFinding, ...]
    links: tuple[TruthLink, ...]
    noise_hu: float
    xray: npt.NDArray[np.uint8]
    xray_grid: Grid
    xray_labels: npt.NDArray[np.uint8]
    xray_label_names: dict[int, str]
    xray_report: str
    xray_truth: tuple[TruthFinding, ...]
    prior: Phantom | None = None

    def mask(self, value: int) -> npt.NDArray[np.bool_]:
        """Return the samples of a label: of a structure without what lesions hide, of a lesion all."""
        mask: npt.NDArray[np.bool_] = self.labels == value
        return mask


def make_phantom(index: int, *, seed: int = 0, split: str = "train", size: str = "demo") -> Phantom:
    """Return the phantom of an index: the same bytes for the same arguments, on any machine.

    size: "demo" (32, 64, 64) or "standard" (96, 160, 160) voxels of the same patient, 288 x 352 x 352 mm.
    Raises UsageError for an unknown size or split.
    """
    if size not in SIZES:
        raise UsageError(f"no phantom size {size!r}", f"the sizes are {', '.join(SIZES)}")
    if split not in ("train", "validation", "test"):
        raise UsageError(f"no split {split!r}", "the splits are train, validation and test")
    names = (PHANTOM_VERSION, seed, split, index)
    person = _Person(f"phantom-{split}-{seed}-{index:06d}", split, SIZES[size], draw_patient(Dice("patient", *names)))
    now = draw_lesions(Dice("lesions", *names), person.who)
    history = Dice("history", *names)
    if not history.chance(0.3):
        return _study(person, 1, [(lesion, "") for lesion in now], None)
    before, changes = draw_history(history, person.who, now)
    return _study(person, 1, changes, _study(person, 0, [(lesion, "") for lesion in before], None))


@dataclass(frozen=True)
class _Person:
    key: str
    split: str
    shape: tuple[int, int, int]
    who: Patient


def _study(person: _Person, number: int, dated: Sequence[Dated], prior: Phantom | None) -> Phantom:
    key = f"{person.key}-{number}"

    def dice(what: str) -> Dice:
        return Dice(what, PHANTOM_VERSION, key)

    scene = paint_scene(dice("study"), Dice("vessels", PHANTOM_VERSION, person.key), person.who, dated, person.shape)
    canvas, names = scene.canvas, scene.names
    volume, noise_hu = scan(canvas, scene.who, dice("scan"))
    xray, xray_grid = project(canvas, dice("xray"))
    truth = truth_of(scene, dated, noise_hu)
    compared = prior is not None
    told = write_report(dice("report"), truth, split=person.split, modality="CT", compared=compared)
    on_film = [finding for finding in truth if finding.concept in XRAY_CONCEPTS]
    film = write_report(dice("film"), on_film, split=person.split, modality="XR", compared=compared)
    shadows = sorted(f.label_value for f in on_film if f.label_value is not None and f.label_value >= FIRST_LESION)
    return Phantom(
        key=key,
        patient_key=person.key,
        split=person.split,
        age=scene.who.age,
        sex=scene.who.sex,
        phase=scene.phase,
        grid=canvas.grid,
        volume=volume,
        labels=np.where(canvas.lesions > 0, canvas.lesions, canvas.organs),
        organs=canvas.organs,
        label_names=names,
        report=told.text,
        truth=told.truth,
        links=told.links,
        noise_hu=noise_hu,
        xray=xray,
        xray_grid=xray_grid,
        xray_labels=project_labels(canvas, ORGANS, shadows),
        xray_label_names=XRAY_NAMES | {value: names[value] for value in shadows},
        xray_report=film.text,
        xray_truth=film.truth,
        prior=prior,
    )
