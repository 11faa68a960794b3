"""What can be scored on phantoms without looking at them: majority, median size, mean box, atlas mask.

`python -m radfoundry.phantom.baselines` writes `baselines.tsv` beside this file; a model must be better than these.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median

import numpy as np
import numpy.typing as npt

from radfoundry.geometry import Box
from radfoundry.phantom.study import Phantom, make_phantom
from radfoundry.phantom.tissues import ORGANS

__all__ = ["TABLE", "measure_baselines"]

TABLE = Path(__file__).with_name("baselines.tsv")

Row = tuple[str, str, str, int, float]


def measure_baselines(n_train: int = 200, n_test: int = 100) -> list[Row]:
    """Return (baseline, target, metric, n, value): fitted on training phantoms, scored on test phantoms of demo size."""
    train = [make_phantom(i) for i in range(n_train)]
    test = [make_phantom(i, split="test") for i in range(n_test)]
    return [*_majority(train, test), *_median_size(train, test), *_mean_box(train, test), *_atlas(train, test)]


def _majority(train: Sequence[Phantom], test: Sequence[Phantom]) -> Iterable[Row]:
    concepts = sorted({f.concept for phantom in train for f in phantom.truth})
    for concept in concepts:
        usual = mean(_has(p, concept) for p in train) >= 0.5
        hits = [_has(p, concept) == usual for p in test]
        yield "majority", concept, "accuracy", len(hits), mean(hits)


def _has(phantom: Phantom, concept: str) -> bool:
    return any(f.concept == concept and f.presence == "present" for f in phantom.truth)


def _median_size(train: Sequence[Phantom], test: Sequence[Phantom]) -> Iterable[Row]:
    known, asked = _sizes(train), _sizes(test)
    for concept in sorted(known.keys() & asked.keys()):
        guess = median(known[concept])
        hits = [abs(guess - size) <= 0.25 * size for size in asked[concept]]
        yield "median size", concept, "within 25 %", len(hits), mean(hits)


def _sizes(phantoms: Sequence[Phantom]) -> dict[str, list[float]]:
    sizes = defaultdict(list)
    for phantom in phantoms:
        for finding in phantom.truth:
            if finding.size_mm is not None:
                sizes[finding.concept].append(finding.size_mm)
    return sizes


def _mean_box(train: Sequence[Phantom], test: Sequence[Phantom]) -> Iterable[Row]:
    known, asked = _boxes(train), _boxes(test)
    for name in sorted(known.keys() & asked.keys()):
        guess = Box.from_flat(np.rint(np.mean([box.flat for box in known[name]], axis=0)))
        overlaps = [guess.iou(box) for box in asked[name]]
        yield "mean box", name, "median IoU", len(overlaps), median(overlaps)


def _boxes(phantoms: Sequence[Phantom]) -> dict[str, list[Box]]:
    boxes = defaultdict(list)
    for phantom in phantoms:
        for value, name in phantom.label_names.items():
            box = Box.of_mask(phantom.mask(value))
            if box is not None:
                boxes[name].append(box)
    return boxes


def _atlas(train: Sequence[Phantom], test: Sequence[Phantom]) -> Iterable[Row]:
    """The voxels that belong to a structure in at least half of the training patients."""
    for name, value in ORGANS.items():
        guess = np.mean([p.organs == value for p in train], axis=0) >= 0.5
        scores = [_dice(guess, p.organs == value) for p in test if (p.organs == value).any()]
        if scores:
            yield "atlas mask", name, "mean Dice", len(scores), mean(scores)


def _dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return 2.0 * float(np.count_nonzero(a & b)) / float(np.count_nonzero(a) + np.count_nonzero(b))


def _write(rows: Iterable[Row]) -> None:
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(("baseline", "target", "metric", "n", "value"))
        table.writerows((*row[:4], f"{row[4]:.3f}") for row in rows)


if __name__ == "__main__":
    _write(measure_baselines())
