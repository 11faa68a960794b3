"""VQA-RAD (Lau 2018): 2,248 questions about 315 pictures, 451 of them held out by question, not by picture.

SRC: the folder with `VQA_RAD Dataset Public.json` (blanks or underscores) and the pictures, in it or in a folder below. Ids are the
dataset's `qid`; the patient is the MedPix case. 202 of the 203 test pictures have training questions too: see `overlap.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError
from radfoundry.evaluation.suites.suite import Suite, VqaRow, file_picture, item_of, read_text
from radfoundry.evaluation.tasks import Item, Task

__all__ = ["NAME", "VERSION", "load", "read_rows"]

NAME, VERSION, COMPAT = "vqa-rad", "1", "llava-med"

_TASKS = {
    "PRES": "presence", "PRSE": "presence", "ABN": "abnormality", "POS": "location", "SIZE": "size", "MODALITY": "modality",
    "PLANE": "plane", "ORGAN": "organ",
}  # fmt: skip
_MODALITY = "OT"  # a screen copy: of a radiograph, a CT or an MR slice


def load(src: Path, split: str = "test") -> Suite:
    """Return the 451 test questions (or, as "train", the 1,797 others) and what may be learned from."""
    rows = read_rows(_questions_file(src))
    pictures = _pictures(src)
    made: dict[str, list[Item]] = {"train": [], "test": []}
    for raw in rows:
        made["test" if raw["phrase_type"].startswith("test") else "train"].append(_item(raw, pictures))
    asked = made.get(split, [])
    return Suite(Task(NAME, VERSION, asked, COMPAT, _notes(asked)), made["train"] if split == "test" else ())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows with the file's oddities mended: numbers as text, blanks and "NULL" away. Raises UsageError for another file."""
    try:
        rows = json.loads(read_text(path, "give VQA-RAD's folder"))
        return [{key: _clean(value) for key, value in row.items()} for row in rows]
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"{path} is not VQA-RAD's file", f"{type(error).__name__}: {error}", "") from error


def _clean(value: object) -> str:
    text = " ".join(str(value).split())
    return "" if text == "NULL" else text


def _questions_file(src: Path) -> Path:
    found = sorted(p for p in src.rglob("*.json") if p.name.replace(" ", "_").lower() == "vqa_rad_dataset_public.json")
    if not found:
        raise UsageError(f"no VQA-RAD in {src}", "VQA_RAD Dataset Public.json is not there", "give its folder")
    return found[0]


def _pictures(src: Path) -> dict[str, Path]:
    """File name -> file. Raises UsageError where a name stands twice: no last one wins."""
    found: dict[str, Path] = {}
    for path in sorted(src.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg"):
            other = found.setdefault(path.name.lower(), path)
            if other != path:
                raise UsageError(f"two pictures are called {path.name}", f"{other} and {path}", "remove one")
    return found


def _item(raw: dict[str, Any], pictures: dict[str, Path]) -> Item:
    name, closed = raw["image_name"], raw["answer_type"].upper() == "CLOSED"
    task = _TASKS.get(raw["question_type"].split(",")[0].strip().upper(), "chat")
    yes_no = closed and raw["answer"].lower() in ("yes", "no")
    row = VqaRow(
        raw["qid"], raw["question"], raw["answer"], "closed" if closed else "open", "closed" if closed else "open", name,
        raw["image_case_url"] or name, "chat" if task == "size" else task, ("yes", "no") if yes_no else (),
    )  # fmt: skip
    path = pictures.get(name.lower())
    picture = file_picture(path, _MODALITY) if path else None
    return item_of(NAME, row, picture, "" if picture else f"{name} is absent")


def _notes(items: list[Item]) -> tuple[str, ...]:
    kinds = Counter(i.question.answer_kind for i in items)
    absent = sum(bool(i.absent) for i in items)
    notes = [
        f"{len(items)} questions, {kinds['closed']} closed and {kinds['open']} open by the dataset's own answer_type"
    ]
    if absent:
        notes.append(f"{absent} questions are about pictures that are absent: who looks at pictures is not asked them")
    return tuple(notes)
