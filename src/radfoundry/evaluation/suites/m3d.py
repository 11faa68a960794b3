"""M3D-Bench (Bai 2024) from its prepared folders: open and closed questions, reports, boxes, masks.

SRC holds what is there of `M3D_VQA_test.csv`, `M3D_Cap.json` and `M3D_Seg_npy/<code>/<code>.json` (codes 0003, 0011, 0012); paths in the
lists are below SRC. Volumes are min-max normalised, so HU, spacing and orientation are lost: sides are taken as the files have them.
Semantic segmentation asks by name in fixed order and wording; referring segmentation needs the definitions of the training set.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.evaluation.suites.suite import Suite, VqaRow, item_of, read_text, unit_grid
from radfoundry.evaluation.tasks import Item, Reference, Task
from radfoundry.formats.m3d.texts import kept_text
from radfoundry.geometry import Box
from radfoundry.protocols import Picture, Question
from radfoundry.records import Part, Turn

__all__ = ["NAME", "VERSION", "load"]

NAME, VERSION, COMPAT = "m3d", "1", "m3d"

_TYPES = {"1": "plane", "2": "phase", "3": "organ", "4": "abnormality", "5": "location"}
_LETTERS = ("Choice A", "Choice B", "Choice C", "Choice D")
_CODES = ("0003", "0011", "0012")
_BOXED = ("0003",)


def load(src: Path, split: str = "test") -> Suite:
    """Return every question that the folder's files make; a missing part is said, not a crash. Raises UsageError where all are."""
    parts = {"questions": _vqa(src, split), "reports": _captions(src, split), "structures": _structures(src, split)}
    items = [item for part in parts.values() for item in part]
    if not items:
        raise UsageError(
            f"no M3D-Bench in {src}",
            f"none of M3D_VQA_{split}.csv, M3D_Cap.json and M3D_Seg_npy is there",
            "give its folder",
        )
    notes = [f"no {name} in {src}" for name, part in parts.items() if not part]
    absent = sum(bool(i.absent) for i in items)
    notes += [f"{absent} questions are about volumes that are absent"] if absent else []
    training = _vqa(src, "train") + _captions(src, "train") if split != "train" else []
    return Suite(Task(NAME, VERSION, items, COMPAT, tuple(notes)), training)


def _vqa(src: Path, split: str) -> list[Item]:
    path = src / f"M3D_VQA_{split}.csv"
    if not path.is_file():
        return []
    rows = list(csv.DictReader(read_text(path, "give M3D's folder").splitlines()))
    return [item for at, row in enumerate(rows) for item in _both(src, f"{split}-{at:06d}", row)]


def _both(src: Path, key: str, row: dict[str, str]) -> Iterator[Item]:
    """The open and the closed form of a row; a choice "NA" is none."""
    task, image = _TYPES.get(row["Question Type"].strip(), "chat"), row["Image Path"]
    picture = _volume(src / image)
    absent = "" if picture else f"{image} is absent"
    choices = tuple(text for text in (row[name].strip() for name in _LETTERS) if text and text != "NA")
    question, answer = row["Question"].strip(), row["Answer"].strip()
    patient = str(Path(image).parent)
    yield item_of(
        NAME, VqaRow(f"{key}-open", question, answer, "open", f"{task}-open", image, patient, task), picture, absent
    )
    if answer in choices:
        closed = VqaRow(f"{key}-closed", question, answer, "choice", f"{task}-closed", image, patient, task, choices)
        yield item_of(NAME, closed, picture, absent)


def _captions(src: Path, split: str) -> list[Item]:
    path = src / "M3D_Cap.json"
    if not path.is_file():
        return []
    out = []
    for at, row in enumerate(json.loads(read_text(path, "")).get(split, [])):
        text, picture = src / row["text"], _volume(src / row["image"])
        if text.is_file():
            asked = VqaRow(
                f"{split}-cap-{at:06d}", "Report the findings of this scan.", kept_text(read_text(text, "")), "open", "report",
                row["image"], str(Path(row["image"]).parent), "report",
            )  # fmt: skip
            out.append(item_of(NAME, asked, picture, "" if picture else f"{row['image']} is absent"))
    return out


def _structures(src: Path, split: str) -> list[Item]:
    out: list[Item] = []
    for code in _CODES:
        path = src / "M3D_Seg_npy" / code / f"{code}.json"
        if path.is_file():
            listed = json.loads(read_text(path, ""))
            for at, row in enumerate(listed.get(split, [])):
                out += _structure(src, code, f"{split}-{code}-{at:06d}", row, listed["labels"])
    return out


def _structure(src: Path, code: str, key: str, row: dict[str, Any], labels: dict[str, str]) -> Iterator[Item]:
    """A mask, and in code 0003 a box and a name; a structure that is not there is asked for all the same."""
    mask = src / row["label"]
    picture = _volume(src / row["image"])
    if picture is None or not mask.is_file():
        return
    # the number in the file's name counts classes from 0, the list has the background first
    name = labels[str(int(mask.stem.rpartition("_")[2]) + 1)]
    load = partial(_mask, mask, picture.grid.shape)
    patient, shown = f"{code}/{mask.parent.parent.name}", (Part("image", ref=picture.image_id),)

    def ask(kind: str, task: str, words: str, reference: Reference) -> Item:
        turn = Turn("user", (*shown, Part("text", words)))
        question = Question(f"{key}-{task}", f"{NAME}/{row['image']}", (turn,), (picture,), kind, (), task)
        return Item(question, reference, patient, task, (row["image"],))

    yield ask("mask", "segment", f"Segment the {name}.", Reference(f"The {name} is outlined.", mask=load))
    if code in _BOXED:
        box = Box.of_mask(load())
        boxes = (box.flat,) if box is not None else ()
        said = f"The {name} is in the box." if boxes else f"There is no {name}."
        yield ask("box", "rec", f"Where is the {name}? Give its box.", Reference(said, boxes))


def _volume(path: Path) -> Picture | None:
    """A prepared volume `(1, z, y, x)` of values 0 to 1."""
    if not path.is_file():
        return None
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape[-3:]
    digest = hashlib.blake2b(str(path).encode(), digest_size=10).hexdigest()
    return Picture(f"img_{digest}", "OT", unit_grid(shape), partial(_load, path))


def _load(path: Path) -> npt.NDArray:
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path.name} is no array", str(error), "") from error
    return np.asarray(stored.reshape(stored.shape[-3:]))


def _mask(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """A mask; an absent class is stored with one voxel, and is as empty as the volume is large (M3D-T5)."""
    stored = _load(path) > 0
    return stored if stored.shape == shape else np.zeros(shape, bool)
