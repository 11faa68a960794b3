"""A corpus -> a folder in M3D's layout: the image arrays once a set, and lists that split by patient as the corpus does.

Boxes have no files of their own: M3D takes them from masks when a sample is drawn. What is not for training goes into the test lists
where a set has no validation list (M3D-Seg, M3D-RefSeg). X-rays have no place here and are counted.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from radfoundry.formats.m3d.arrays import SHAPE, Cut, Size3, cut_of, resize_labels, resize_linear, unit_range, windowed
from radfoundry.formats.m3d.reading import CAPTIONS, MASKS, QUESTIONS, REFERRING, TERMS
from radfoundry.formats.m3d.texts import LETTERS, NO_CHOICE
from radfoundry.formats.progress import Tell, silent
from radfoundry.formats.shown import Shown, shown_samples
from radfoundry.records import Image, Region, Sample

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus

__all__ = ["CODE", "class_paths", "write"]

CODE = "9000"
"""Our set among M3D-Seg's four-digit codes, which end at 0025."""

KINDS = {"plane": 1, "phase": 2, "organ": 3, "abnormality": 4, "location": 5}
_REFERRING_KINDS = {"refer-segment": 0, "reason-segment": 1}
_EMPTY = np.zeros((1, 1, 1, 1), np.int8)
_SPLITS = ("train", "validation", "test")


def write(corpus: Corpus, folder: Path, tell: Tell = silent, *, shape: Size3 = SHAPE) -> dict[str, int]:
    """Write the sets that the corpus has samples for; return how many rows each list got, and what was left out, by reason.

    shape: of the stored volumes, (32, 256, 256) for M3D's readers. Axes are (z, y, x), of M3D-RefSeg (z, x, y).
    """
    lists, regions = _Lists(), {row.region_id: row for row in corpus.rows("regions")}
    chosen = shown_samples(corpus, corpus.samples())
    lists.counts.update(chosen.left_out)
    drawn = [s.sample.region_ids[0] for s in chosen.samples if s.sample.task == "segment" and s.sample.region_ids]
    labels = sorted({regions[region_id].name for region_id in drawn})
    groups = [(k, list(g)) for k, g in groupby(chosen.samples, key=lambda s: s.sample.image_ids)]
    for number, (image_ids, group) in enumerate(groups, start=1):
        image = group[0].images[0] if group[0].images else None
        if image is None or image.dimensions != 3 or len(image_ids) != 1:
            lists.counts["left out: not about one volume"] += len(group)
        else:
            _Case(corpus, folder, f"{number:06d}", image, regions, shape, lists).write(group, labels)
        tell(number, len(groups))
    lists.save(folder, labels, _terms(chosen.samples, regions))
    return dict(lists.counts)


@dataclass
class _Lists:
    """The rows of every list while cases are written."""

    captions: dict[str, list[dict[str, str]]] = field(default_factory=lambda: {split: [] for split in _SPLITS})
    questions: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    masks: dict[str, list[dict[str, str]]] = field(default_factory=lambda: {"train": [], "test": []})
    referring: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)

    def save(self, folder: Path, labels: Sequence[str], terms: Mapping[str, list[str]]) -> None:
        """Write the lists that have rows."""
        if any(self.captions.values()):
            _save_json(folder / CAPTIONS, self.captions)
        for name, rows in (*self.questions.items(), *self.referring.items()):
            _save_csv(folder / name, rows)
        if any(self.masks.values()):
            named = {"0": "background"} | {str(n): label for n, label in enumerate(labels, start=1)}
            counts = {"numTraining": len(self.masks["train"]), "numTest": len(self.masks["test"])}
            _save_json(folder / MASKS / CODE / f"{CODE}.json", {"name": CODE, "labels": named, **counts, **self.masks})
            _save_json(folder / MASKS / "dataset_info.json", {CODE: list(labels)})
        if terms:
            _save_json(folder / TERMS, terms)


@dataclass(frozen=True)
class _Case:
    """One volume with all that is asked about it."""

    corpus: Corpus
    folder: Path
    number: str
    image: Image
    regions: Mapping[str, Region]
    shape: Size3
    lists: _Lists

    def write(self, group: Sequence[Shown], labels: Sequence[str]) -> None:
        """Write the case's arrays, each set its own copy as M3D does, and add its rows to the lists."""
        pixels, _ = self.corpus.image(self.image.image_id)
        scaled = unit_range(windowed(pixels, self.image.modality))
        cut = cut_of(scaled)
        volume = resize_linear(scaled[cut], self.shape)[None]
        by_task: dict[str, list[Sample]] = defaultdict(list)
        for shown in group:
            by_task[shown.sample.task].append(shown.sample)
        if by_task["report"] or any(by_task[task] for task in KINDS):
            self._texts(by_task, volume)
        if by_task["segment"]:
            self._masks(by_task["segment"], volume, cut, labels)
        if any(by_task[task] for task in _REFERRING_KINDS):
            self._referring([s for task in _REFERRING_KINDS for s in by_task[task]], volume, cut)
        for task in sorted(by_task.keys() - {"report", "segment", *KINDS, *_REFERRING_KINDS}):
            why = "M3D takes boxes from masks" if task in ("rec", "reg") else f"{task} has no list"
            self.lists.counts[f"left out: {why}"] += len(by_task[task])

    def _texts(self, by_task: Mapping[str, Sequence[Sample]], volume: npt.NDArray[Any]) -> None:
        home = f"M3D_Cap_npy/ct_case/{self.number}"
        image, text = f"{home}/{self.image.image_id}.npy", f"{home}/text.txt"
        _save_array(self.folder / image, volume)
        for sample in by_task["report"][:1]:
            (self.folder / text).write_text(sample.turns[-1].text, encoding="utf-8")
            self.lists.captions[sample.split].append({"image": image, "text": text})
            self.lists.counts["captions"] += 1
        for task, kind in KINDS.items():
            for sample in by_task[task]:
                row = {"Image Path": image, "Text": text, "Question Type": kind, **_question(sample)}
                self.lists.questions[_question_list(sample)].append(row)
                self.lists.counts["questions"] += 1

    def _masks(self, samples: Sequence[Sample], volume: npt.NDArray[Any], cut: Cut, labels: Sequence[str]) -> None:
        image, _ = class_paths(CODE, self.number, 0)
        _save_array(self.folder / image, volume)
        for sample in samples:
            if not sample.region_ids:
                self.lists.counts["left out: an organ out of view has no class"] += 1
                continue
            channel = labels.index(self.regions[sample.region_ids[0]].name)
            _, label = class_paths(CODE, self.number, channel)
            _save_array(self.folder / label, self._class(sample.region_ids[0], cut))
            self.lists.masks["train" if sample.split == "train" else "test"].append({"image": image, "label": label})
            self.lists.counts["masks"] += 1

    def _class(self, region_id: str, cut: Cut) -> npt.NDArray[Any]:
        mask = resize_labels(self.corpus.mask(region_id)[cut], self.shape)[None]
        return mask if mask.any() else _EMPTY

    def _referring(self, samples: Sequence[Sample], volume: npt.NDArray[Any], cut: Cut) -> None:
        home = f"M3D_RefSeg_npy/{self.number}"
        _save_array(self.folder / home / "ct.npy", np.swapaxes(volume, -1, -2))
        written: dict[int, str] = {}
        for sample in samples:
            region = self.regions[sample.region_ids[0]]
            name = f"{self.number}/mask_{region.label_set}.npy"
            if not (self.folder / "M3D_RefSeg_npy" / name).exists():
                labels = resize_labels(self.corpus.labelmap(self.image.image_id, region.label_set)[cut], self.shape)
                _save_array(self.folder / "M3D_RefSeg_npy" / name, np.swapaxes(labels, -1, -2)[None])
            written[region.label_value] = region.name
            train, test = REFERRING
            self.lists.referring[train if sample.split == "train" else test].append(
                {
                    "Image": f"{self.number}/ct.npy",
                    "Mask": name,
                    "Mask_ID": region.label_value,
                    "Question_Type": _REFERRING_KINDS[sample.task],
                    "Question": sample.turns[-2].text,
                    "Answer": f"[SEG] {sample.turns[-1].text}",
                }
            )
            self.lists.counts["referring"] += 1
        _save_json(self.folder / home / "text.json", {str(value): name for value, name in sorted(written.items())})


def _question(sample: Sample) -> dict[str, str]:
    """The columns of a question: right answers of questions with options stand among them under a letter."""
    answer = sample.turns[-1].text
    options = [option[:1].upper() + option[1:] for option in sample.choices]
    choices = [*options, *[NO_CHOICE] * (len(LETTERS) - len(options))]
    letter = LETTERS[options.index(answer)] if answer in options else NO_CHOICE
    listed = {f"Choice {at}": choice for at, choice in zip(LETTERS, choices, strict=True)}
    return {"Question": sample.turns[-2].text, **listed, "Answer": answer, "Answer Choice": letter}


def _question_list(sample: Sample) -> str:
    return next(n for n, told in QUESTIONS.items() if told == (sample.split, sample.answer_kind == "closed"))


def class_paths(code: str, case: str, channel: int) -> tuple[str, str]:
    """Return where M3D-Seg keeps the image of a case and the mask of one class, below data_root."""
    home = f"{MASKS}/{code}/{case}"
    return f"{home}/image.npy", f"{home}/masks/mask_{channel}.npy"


def _terms(samples: Sequence[Shown], regions: Mapping[str, Region]) -> dict[str, list[str]]:
    """Return definitions by region from answers that say what a given region is: "Spleen: the fist-sized soft organ ..."."""
    terms: dict[str, list[str]] = {}
    for sample, *_ in samples:
        name = regions[sample.region_ids[0]].name if sample.task == "reg" else ""
        told = sample.turns[-1].text
        if name and told.lower().startswith(f"{name}: "):
            terms.setdefault(name, []).append(told[len(name) + 2 :])
    return {name: sorted(set(told)) for name, told in sorted(terms.items())}


def _save_array(path: Path, array: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)


def _save_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _save_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
