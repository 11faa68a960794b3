"""RadBench (Wu 2023) from its released test files: questions, diagnosis, modality, reports; whatever of them SRC holds.

Paths in the files may be absolute paths of the authors' machines: the longest tail that lies below SRC is taken. Rows with an empty cell
are left out and counted, never answered "nan". Pictures are shown whole (the published test crops at random), every question once and in
order. No scorer was released: beside the native scores stand those that the paper describes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError
from radfoundry.evaluation.suites.suite import Suite, VqaRow, file_picture, item_of, read_text
from radfoundry.evaluation.tasks import Item, Task
from radfoundry.protocols import Picture
from radfoundry.studies.sources import SourceKind

__all__ = ["NAME", "PROMPTS", "VERSION", "load"]

NAME, VERSION, COMPAT = "radbench", "1", "radbench"

# what each file asks; a prompt without final punctuation changes the model's answers (issue 40 of the published code)
PROMPTS = {
    "labels": "Which findings does this image show? List them.",
    "binary": "Does this image show {disease}?",
    "modality": "Which modality was this image acquired with?",
    "report": "Report the findings and the impression of this study.",
}
_FILES = {
    "pmcvqa": "vqa", "vqarad": "vqa", "slakevqa": "vqa", "radiology_vqa": "volume-vqa", "radio_modality": "modality",
    "chestxray_balance": "binary", "pcxr_balance": "binary", "mammo_balance": "binary", "spinexr_balance": "binary",
    "chestxray": "labels", "pcxr": "labels", "mammo": "labels", "spinexr": "labels", "mimic_caption": "caption",
}  # fmt: skip
_KINDS: dict[str, SourceKind] = {".gz": "nifti", ".nii": "nifti", ".npy": "npy"}


def load(src: Path, split: str = "test") -> Suite:
    """Return the questions of every known file. Raises UsageError, naming the files, where none is there (RFM-T30)."""
    items, notes = [], []
    for stem, form in _FILES.items():
        path = src / f"{stem}_{split}.csv"
        if path.is_file():
            rows = list(csv.DictReader(read_text(path, "").splitlines()))
            made = [item for at, row in enumerate(rows) for item in _row(src, f"{stem}-{at:06d}", form, row)]
            items += made
            if len(made) < len(rows):
                notes.append(f"{len(rows) - len(made)} rows of {path.name} have an empty cell and are left out")
    reports = _reports(src, split)
    if not items and not reports:
        names = ", ".join(f"{stem}_{split}.csv" for stem in _FILES)
        raise UsageError(f"no RadBench in {src}", f"none of {names} is there", "give its folder")
    items += reports
    absent = sum(bool(i.absent) for i in items)
    notes += [f"{absent} questions are about images that are absent"] if absent else []
    return Suite(Task(NAME, VERSION, items, COMPAT, tuple(notes)))


def _row(src: Path, key: str, form: str, row: dict[str, str]) -> Iterator[Item]:
    """The question of a row, none where a cell that it needs is empty."""
    cells = {name.lower(): _cell(value) for name, value in row.items() if name}
    image = cells.get("image_path") or cells.get("figure_path", "")
    disease, label = cells.get("disease", ""), cells.get("label", "")
    asked = {
        "vqa": (cells.get("question", ""), cells.get("answer", ""), "open", "vqa", "chat"),
        "volume-vqa": (cells.get("question", ""), cells.get("answer", ""), "open", "vqa", "chat"),
        "modality": (PROMPTS["modality"], cells.get("answer", ""), "open", "modality", "modality"),
        "binary": (
            PROMPTS["binary"].format(disease=disease) if disease else "",
            {"1": "yes", "0": "no"}.get(label.partition(".")[0], ""),
            "closed", "diagnosis", "diagnosis",
        ),
        "labels": (PROMPTS["labels"], label, "open", "diagnosis", "diagnosis"),
        "caption": (PROMPTS["report"], label or cells.get("caption", ""), "open", "report", "report"),
    }[form]  # fmt: skip
    question, answer, kind, group, task = asked
    if not (image and question and answer):
        return
    choices = ("yes", "no") if kind == "closed" else ()
    yield _item(src, VqaRow(key, question, answer, kind, f"{group}-{kind}", image, image, task, choices))


def _reports(src: Path, split: str) -> list[Item]:
    path = src / f"radiology_article_npy_{split}.json"
    if not path.is_file():
        return []
    out = []
    for at, row in enumerate(json.loads(read_text(path, ""))):
        told = {name: _cell(row.get(name)) for name in ("pat", "pre", "finding", "impression", "npy_path")}
        if told["finding"] and told["npy_path"]:
            question = " ".join(filter(None, (told["pat"], told["pre"], PROMPTS["report"])))
            answer = " ".join(filter(None, (told["finding"], told["impression"])))
            asked = VqaRow(
                f"article-{at:06d}", question, answer, "open", "report", told["npy_path"], told["npy_path"], "report"
            )
            out.append(_item(src, asked))
    return out


def _item(src: Path, row: VqaRow) -> Item:
    picture = _picture(src, row.image)
    return item_of(NAME, row, picture, "" if picture else f"{row.image} is absent")


def _picture(src: Path, image: str) -> Picture | None:
    parts = [part for part in Path(image).parts if part not in ("/", "..")]
    for start in range(len(parts)):
        path = src.joinpath(*parts[start:])
        if path.is_file():
            return file_picture(path, kind=_KINDS.get(path.suffix.lower(), "raster"))
    return None


def _cell(value: Any) -> str:
    text = " ".join(str(value if value is not None else "").split())
    return "" if text.lower() == "nan" else text
