"""A folder in M3D's layout -> rows. The folder is what M3D calls `data_root`."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from radfoundry import anatomy
from radfoundry.errors import UnreadableError, UsageError
from radfoundry.formats.m3d.rows import CaptionRow, M3DData, MaskRow, QuestionRow, ReferringRow
from radfoundry.formats.m3d.texts import LETTERS, settle_seg
from radfoundry.ids import normalised_text
from radfoundry.records import Split

__all__ = ["read_tables", "straddling"]

CAPTIONS = "M3D_Cap/M3D_Cap.json"
QUESTIONS: dict[str, tuple[Split, bool]] = {
    "M3D_VQA/M3D_VQA_train.csv": ("train", False),
    "M3D_VQA/M3D_VQA_val.csv": ("validation", False),
    "M3D_VQA/M3D_VQA_test.csv": ("test", False),
    "M3D_VQA/M3D_VQA_yn_train.csv": ("train", True),
    # of ours: the published yes/no questions are for training alone
    "M3D_VQA/M3D_VQA_yn_val.csv": ("validation", True),
    "M3D_VQA/M3D_VQA_yn_test.csv": ("test", True),
}
REFERRING: dict[str, Split] = {
    "M3D_RefSeg_npy/M3D_RefSeg.csv": "train",
    "M3D_RefSeg_npy/M3D_RefSeg_test.csv": "test",
}
MASKS = "M3D_Seg_npy"
TERMS = "term_dictionary.json"
# the key of a list that M3D-Bench's positioning readers ask for, and the one that the data has
_MASK_SPLITS: dict[str, Split] = {"train": "train", "training": "train", "test": "test"}
_LONGEST_CELL = 1_000_000


def read_tables(folder: Path) -> M3DData:
    """Return the rows of every list in the folder; a listed code whose folder is missing is left out and named in `skipped`.

    Raises UsageError where there is no list at all, UnreadableError where one is broken.
    """
    skipped: list[str] = []
    data = M3DData(
        captions=tuple(_captions(folder)),
        questions=tuple(row for name in QUESTIONS for row in _questions(folder, name)),
        masks=tuple(_masks(folder, skipped)),
        referring=tuple(row for name in REFERRING for row in _referring(folder, name)),
        terms={name: tuple(told) for name, told in (_json(folder / TERMS) or {}).items()},
        skipped=tuple(skipped),
    )
    if not (data.captions or data.questions or data.masks or data.referring or skipped):
        known = ", ".join((CAPTIONS, *QUESTIONS, *REFERRING, f"{MASKS}/<code>/<code>.json"))
        raise UsageError(f"{folder} is not in M3D's layout", f"none of its lists is there: {known}", "give data_root")
    return data


def straddling(rows: tuple[CaptionRow, ...]) -> list[tuple[CaptionRow, ...]]:
    """Return groups of rows with one and the same text in different splits: a case may be in ct_case and in ct_quizze."""
    by_text: dict[str, list[CaptionRow]] = defaultdict(list)
    for row in rows:
        by_text[normalised_text(row.text).casefold()].append(row)
    return [tuple(same) for same in by_text.values() if len({row.split for row in same}) > 1]


def _captions(folder: Path) -> Iterator[CaptionRow]:
    for split, items in (_json(folder / CAPTIONS) or {}).items():
        for item in items:
            yield CaptionRow(folder / item["image"], folder / item["text"], split)


def _questions(folder: Path, name: str) -> Iterator[QuestionRow]:
    split, yes_no = QUESTIONS[name]
    for row in _csv(folder / name):
        choices = tuple(row[f"Choice {letter}"] for letter in LETTERS)
        yield QuestionRow(
            image=folder / row["Image Path"],
            text=row["Text"],
            kind=int(row["Question Type"]),
            question=row["Question"],
            choices=choices,
            answer=row["Answer"],
            letter=row["Answer Choice"],
            split=split,
            yes_no=yes_no,
        )


def _masks(folder: Path, skipped: list[str]) -> Iterator[MaskRow]:
    for place in sorted((folder / MASKS).glob("*/*.json")):
        code, told = place.stem, _json(place) or {}
        labels = [told["labels"][key] for key in sorted(told["labels"], key=int) if key != "0"]
        for key, split in _MASK_SPLITS.items():
            for item in told.get(key, ()):
                yield _mask_row(folder, code, labels, item, split)
    listed = _json(folder / MASKS / "dataset_info.json") or {}
    for code in sorted(listed):
        if not (folder / MASKS / code / f"{code}.json").is_file():
            skipped.append(f"{code}: its folder or list is missing; the other sets go on")


def _mask_row(folder: Path, code: str, labels: list[str], item: dict[str, str], split: Split) -> MaskRow:
    mask = _below(folder, item["label"])
    channel = int(mask.stem.rpartition("_")[2])
    if channel >= len(labels):
        raise UnreadableError(
            f"{mask.name} of {code} is class {channel}", f"the set has {len(labels)}, counted from 0", "mend the list"
        )
    return MaskRow(
        code, _below(folder, item["image"]), mask, channel, labels[channel], _region(code, channel, labels), split
    )


def _region(code: str, channel: int, labels: list[str]) -> str:
    """Return our name: by place in the set, because two sets say L1 where they mean L2; by name where the set is not M3D's."""
    walk = anatomy.crosswalk("m3d_seg")
    value, label = f"{code}/{channel}", labels[channel]
    placed = next((m for m in walk.mappings if m.value == value and m.name == label), None)
    if placed is not None:
        return placed.region.name
    return anatomy.region(label).name if anatomy.is_known(label) else label


def _below(folder: Path, written: str) -> Path:
    """Return where a listed file lies: lists of M3D-Seg hold the full paths of the machine on which they were written."""
    parts = PurePosixPath(written.replace("\\", "/")).parts
    return folder.joinpath(*parts[parts.index(MASKS) :]) if MASKS in parts else folder / written


def _referring(folder: Path, name: str) -> Iterator[ReferringRow]:
    root = (folder / name).parent
    for row in _csv(folder / name):
        yield ReferringRow(
            image=root / row["Image"],
            mask=root / row["Mask"],
            mask_id=int(row["Mask_ID"]),
            kind=int(row["Question_Type"]),
            question=row["Question"],
            answer=settle_seg(row["Answer"]),
            split=REFERRING[name],
        )


def _json(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UnreadableError(f"{path.name} is no JSON", str(error), "fetch it again") from error


def _csv(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        return
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(newline="", encoding="utf-8-sig") as file:
        yield from csv.DictReader(file)
