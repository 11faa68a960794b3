"""SLAKE (Liu 2021), its English questions: 1,061 test questions about 96 pictures.

SRC: the folder with `test.json` (or `.json.gz`), `train.json` where a baseline is to learn, and `imgs/<img_name>` where there are
pictures. Ids are `<split>-<qid>`; Chinese questions are left out and counted. A patient is a picture: the dataset names none.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError
from radfoundry.evaluation.suites.suite import Suite, VqaRow, file_picture, item_of
from radfoundry.evaluation.tasks import Item, Task

__all__ = ["NAME", "VERSION", "load"]

NAME, VERSION, COMPAT = "slake", "1", "llava-med"

_TASKS = {
    "Organ": "organ", "Position": "location", "Abnormality": "abnormality", "Modality": "modality", "Plane": "plane",
}  # fmt: skip
_MODALITIES = {"CT": "OT", "MRI": "MR", "X-Ray": "XR"}  # a CT slice as a picture has no HU
_MOST_BYTES = 200_000_000


def load(src: Path, split: str = "test") -> Suite:
    """Return the English questions of a split, and those of the training split where its file is there."""
    rows = _rows(src, split)
    if rows is None:
        raise UsageError(f"no SLAKE in {src}", f"there is no {split}.json in it", "give SLAKE's folder")
    training = (_rows(src, "train") or []) if split != "train" else []
    asked = [_item(src, raw, split) for raw in rows if raw["q_lang"] == "en"]
    absent = sum(bool(i.absent) for i in asked)
    notes = [f"{len(asked)} English questions; {len(rows) - len(asked)} in other languages are left out"]
    if absent:
        notes.append(f"{absent} questions are about pictures that are absent: who looks at pictures is not asked them")
    taught = [_item(src, raw, "train") for raw in training if raw["q_lang"] == "en"]
    return Suite(Task(NAME, VERSION, asked, COMPAT, tuple(notes)), taught)


def _rows(src: Path, split: str) -> list[dict[str, Any]] | None:
    for name, opener in ((f"{split}.json", open), (f"{split}.json.gz", gzip.open)):
        if (src / name).is_file():
            try:
                with opener(src / name, "rb") as file:
                    return list(json.loads(file.read(_MOST_BYTES)))
            except (OSError, EOFError, ValueError) as error:
                raise UsageError(f"{src / name} is not SLAKE's file", f"{type(error).__name__}: {error}", "") from error
    return None


def _item(src: Path, raw: dict[str, Any], split: str) -> Item:
    closed = raw["answer_type"].strip().upper() == "CLOSED"
    answer, name = " ".join(str(raw["answer"]).split()), raw["img_name"]
    yes_no = closed and answer.lower() in ("yes", "no")
    kind = "closed" if closed else "open"
    row = VqaRow(
        f"{split}-{raw['qid']}", raw["question"].strip(), answer, kind, kind, name, str(raw["img_id"]),
        _TASKS.get(raw["content_type"], "chat"), ("yes", "no") if yes_no else (),
    )  # fmt: skip
    picture = None
    if ".." not in Path(name).parts and not Path(name).is_absolute():
        picture = file_picture(src / "imgs" / name, _MODALITIES.get(raw["modality"], "OT"))
    return item_of(NAME, row, picture, "" if picture else f"{name} is absent")
