"""How well the finding rules give published labels: `bench_findings` scores a file of labelled reports."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from radfoundry.errors import UsageError
from radfoundry.language.findings import find_findings
from radfoundry.language.labels import LABEL_SETS, STATED, label_set, label_statements
from radfoundry.language.report import parse_report

__all__ = ["Counts", "bench_findings", "f1"]


class Counts(NamedTuple):
    """True positives, false positives and false negatives."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def plus(self, expected: bool, given: bool) -> Counts:
        return Counts(
            self.tp + (expected and given), self.fp + (given and not expected), self.fn + (expected and not given)
        )


def f1(counts: Counts) -> float:
    """F1 of counts; 1 where there was nothing to find and nothing was found."""
    whole = 2 * counts.tp + counts.fp + counts.fn
    return 2 * counts.tp / whole if whole else 1.0


def bench_findings(path: str | Path) -> dict[str, Any]:
    """Score a CSV with `report_text` and columns named as labels of one published set (0/1).

    Equal texts count once in `distinct_micro_f1` (the first row's labels), every row counts elsewhere; `exact` is the share of
    rows with every label right. Labels without a positive row are in `per_label`, not in `macro_f1`.

    Raises: `UsageError` when the file has no `report_text` or no known label.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    set_name, names = _labels_of(path, rows)
    started = time.perf_counter()
    parsed = [[s.text for s in parse_report(row["report_text"]).of(*STATED)] for row in rows]
    given = [label_statements([made for text in texts for made in find_findings(text)], set_name) for texts in parsed]
    seconds = time.perf_counter() - started
    expected = [{name: row[name].strip() in ("1", "1.0", "True", "true") for name in names} for row in rows]
    return {"label_set": set_name} | _scores(rows, names, expected, given, sum(map(len, parsed)) / max(seconds, 1e-9))


def _labels_of(path: str | Path, rows: list[dict[str, str]]) -> tuple[str, list[str]]:
    columns = list(rows[0]) if rows else []
    if "report_text" not in columns:
        raise UsageError(
            f"{path} has no column report_text",
            "the reports to label are read from it",
            "name the text column report_text",
        )
    known = {name: [label.name for label in label_set(name) if label.name in columns] for name in LABEL_SETS}
    best = max(known, key=lambda name: len(known[name]))
    if not known[best]:
        raise UsageError(
            f"{path} has no label column",
            f"none of its columns is a label of {', '.join(LABEL_SETS)}",
            "use the published label names",
        )
    return best, known[best]


def _scores(
    rows: list[dict[str, str]],
    names: list[str],
    expected: list[dict[str, bool]],
    given: list[dict[str, bool]],
    sentences_per_s: float,
) -> dict[str, Any]:
    pairs = list(zip(expected, given, strict=True))
    per_label = {name: _count((e[name], g[name]) for e, g in pairs) for name in names}
    first = {row["report_text"]: pair for row, pair in zip(reversed(rows), reversed(pairs), strict=True)}
    scored = [f1(counts) for counts in per_label.values() if counts.tp + counts.fn]
    return {
        "micro_f1": f1(_count((e[name], g[name]) for e, g in pairs for name in names)),
        "macro_f1": sum(scored) / len(scored) if scored else 0.0,
        "exact": sum(all(e[name] == g[name] for name in names) for e, g in pairs) / len(pairs),
        "distinct_micro_f1": f1(_count((e[name], g[name]) for e, g in first.values() for name in names)),
        "per_label": {
            name: {"f1": f1(c), "precision": _share(c.tp, c.fp), "recall": _share(c.tp, c.fn), "n": c.tp + c.fn}
            for name, c in per_label.items()
        },
        "sentences_per_s": sentences_per_s,
        "n": len(rows),
    }


def _count(pairs: Iterable[tuple[bool, bool]]) -> Counts:
    counts = Counts()
    for expected, given in pairs:
        counts = counts.plus(expected, given)
    return counts


def _share(hits: int, misses: int) -> float:
    return hits / (hits + misses) if hits + misses else 1.0
