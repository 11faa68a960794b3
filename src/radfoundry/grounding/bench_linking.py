"""How well a linker gives RadGenome's published head regions: `bench_linking` scores a file of sentences."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError
from radfoundry.grounding.linker import Linker, Mapping, RuleLinker
from radfoundry.language.bench_findings import Counts, f1
from radfoundry.language.places import head_of

__all__ = ["HEADS", "bench_linking"]

HEADS = (
    "abdomen", "bone", "breast", "esophagus", "heart", "lung", "mediastinum", "pleura", "thyroid", "trachea and bronchie",
)  # fmt: skip
_COLUMNS = ("volume", "sent_idx", "sentence", "regions", "regions_unknown")

Pair = tuple[frozenset[str], frozenset[str]]


def bench_linking(path: str | Path, mapping: Mapping = "compat", linker: Linker | None = None) -> dict[str, Any]:
    """Score a CSV with `volume, sent_idx, sentence, regions, regions_unknown` (heads joined by `;`).

    Heads in `regions_unknown` are not scored in that row. `distinct_micro_f1` counts each sentence text once, with the
    regions that most of its rows give it. Names of a clean mapping are scored by their head region.

    Raises: `UsageError` when a column is missing.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [column for column in _COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise UsageError(
            f"{path} has no {', '.join(missing)}",
            "linking is scored against these columns",
            "see the documentation of bench linking",
        )
    rows.sort(key=lambda row: (row["volume"], int(row["sent_idx"])))
    linker = linker or RuleLinker(mapping)
    started = time.perf_counter()
    linked = [
        mentions
        for _, report in groupby(rows, key=lambda row: row["volume"])
        for mentions in linker.link([r["sentence"] for r in report])
    ]
    seconds = time.perf_counter() - started
    pairs = [
        _pair(row, {head_of(mention.name) for mention in mentions}) for row, mentions in zip(rows, linked, strict=True)
    ]
    return _scores([row["sentence"] for row in rows], pairs) | {
        "sentences_per_s": len(rows) / max(seconds, 1e-9),
        "n": len(rows),
    }


def _pair(row: dict[str, str], given: set[str]) -> Pair:
    unknown = set(row["regions_unknown"].split(";"))
    scored = frozenset(HEADS) - unknown
    return scored.intersection(row["regions"].split(";")), scored & given


def _scores(sentences: list[str], pairs: list[Pair]) -> dict[str, Any]:
    per_label = {head: _count(pairs, [head]) for head in HEADS}
    scored = [f1(counts) for counts in per_label.values() if counts.tp + counts.fn]
    return {
        "micro_f1": f1(_count(pairs, HEADS)),
        "macro_f1": sum(scored) / len(scored) if scored else 0.0,
        "exact": sum(expected == given for expected, given in pairs) / len(pairs),
        "distinct_micro_f1": f1(_count(_distinct(sentences, pairs), HEADS)),
        "per_label": {head: {"f1": f1(counts), "n": counts.tp + counts.fn} for head, counts in per_label.items()},
    }


def _count(pairs: Iterable[Pair], heads: Iterable[str]) -> Counts:
    counts = Counts()
    heads = tuple(heads)
    for expected, given in pairs:
        for head in heads:
            counts = counts.plus(head in expected, head in given)
    return counts


def _distinct(sentences: list[str], pairs: list[Pair]) -> list[Pair]:
    seen: dict[str, list[Pair]] = {}
    for sentence, pair in zip(sentences, pairs, strict=True):
        seen.setdefault(sentence, []).append(pair)
    return [max(same, key=lambda pair: sum(pair[0] == other[0] for other in same)) for same in seen.values()]
