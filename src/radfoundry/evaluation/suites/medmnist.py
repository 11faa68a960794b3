"""MedMNIST v2 (Yang 2023): small pictures and volumes with one label each, asked with choices.

SRC: a folder with one `<dataset>.npz`, or that file. `medmnist.tsv` has the labels, and the MD5 of the official file where we know it:
another file is read too, and said to be another. A patient is a picture: the sets name none.
"""

from __future__ import annotations

import csv
import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UsageError
from radfoundry.evaluation.suites.suite import Suite, VqaRow, array_picture, item_of
from radfoundry.evaluation.tasks import Item, Task

__all__ = ["NAME", "VERSION", "load"]

NAME, VERSION, COMPAT = "medmnist", "1", ""

_SPLITS = {"train": "train", "validation": "val", "test": "test"}
_MOST_TAUGHT = 20_000


def load(src: Path, split: str = "test") -> Suite:
    """Return one question a picture of the split. Raises UsageError for a file that is not MedMNIST's."""
    path, facts = _file(src)
    labels = facts["labels"].split(";")
    try:
        with np.load(path, allow_pickle=False) as held:
            pictures = {s: (held[f"{n}_images"], held[f"{n}_labels"].reshape(-1)) for s, n in _SPLITS.items()}
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is not MedMNIST's", f"{type(error).__name__}: {error}", "") from error
    asked = _items(path.stem, split, *pictures[split], labels, facts["modality"])
    images, taught = (array[:_MOST_TAUGHT] for array in pictures["train"])
    training = _items(path.stem, "train", images, taught, labels, facts["modality"])
    return Suite(Task(NAME, VERSION, asked, COMPAT, _notes(path, facts)), training if split != "train" else ())


def _file(src: Path) -> tuple[Path, dict[str, str]]:
    text = (files("radfoundry.evaluation.suites") / "medmnist.tsv").read_text(encoding="utf-8")
    known = {row["dataset"]: row for row in csv.DictReader(text.splitlines(), delimiter="\t")}
    found = [path for path in (sorted(src.glob("*.npz")) if src.is_dir() else [src]) if path.stem in known]
    if len(found) != 1:
        raise UsageError(
            f"{src} holds {len(found)} known MedMNIST files", f"there are {', '.join(known)}", "give one of them as SRC"
        )
    return found[0], known[found[0].stem]


def _notes(path: Path, facts: dict[str, str]) -> tuple[str, ...]:
    if not facts["md5"]:
        return (f"the MD5 of the official {path.name} is not known here, so it was not checked",)
    if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != facts["md5"]:
        return (f"{path.name} is not the official file (its MD5 differs): scores do not compare with published ones",)
    return ()


def _items(
    dataset: str, split: str, images: npt.NDArray, labels: npt.NDArray, names: list[str], modality: str
) -> list[Item]:
    out = []
    for at, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        key = f"{split}-{at:05d}"
        row = VqaRow(
            key, "What does this image show?", names[int(label)], "choice", dataset, f"{dataset}/{key}", f"{dataset}/{key}",
            "diagnosis", tuple(names),
        )  # fmt: skip
        grey = pixels.mean(axis=-1).astype(pixels.dtype) if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels
        out.append(item_of(NAME, row, array_picture(grey, modality)))
    return out
