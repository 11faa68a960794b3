"""Prevalence: is a finding stated in far more studies, or far fewer, than in any known collection.

A lost negation shows here: the published files of RadGenome-Chest CT affirm pericardial effusion in half of all volumes, since "Pericardial
effusion-thickening was not observed" was read as present; it is there in one of thirteen. The known shares (`prevalence.tsv`) are the label
counts of CT-RATE (1,000 reports labelled by hand; 1,564 by a classifier; chest CT) and of NIH ChestX-ray14 (112,120 radiographs).
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from radfoundry.grounding.audit.row import AuditRow, Level
from radfoundry.language import concepts, label_set

__all__ = ["LABELS_OF", "Told", "check_agreement", "check_prevalence", "known_shares", "wilson"]

# hospitals differ: what is known may be so many times rarer or more frequent elsewhere, and is more frequent by a tenth of all studies
RARER, OFTENER, MORE = 4.0, 2.5, 0.1
FEWEST_STUDIES = 50
_EXAMPLES = 3
LABELS_OF = {"CT": "ct-rate", "CR": "nih", "DX": "nih", "XR": "nih"}
"""Modality -> the label set whose shares are known for it."""


class Told(NamedTuple):
    """A concept that a study affirms."""

    study: str
    concept: str


def check_prevalence(told: Iterable[Told], studies: int, labels: str) -> list[AuditRow]:
    """Return a row for each label of a set: in how many of all `studies` it is affirmed, and whether that can be.

    A defect is a 95% Wilson interval wholly above what is known, widened by `OFTENER` and `MORE`: denials may have been read as findings.
    One wholly below, by `RARER`, is a note: other patients, or findings that were not understood. So are fewer than `FEWEST_STUDIES`.
    """
    check = f"prevalence ({labels})"
    if studies < FEWEST_STUDIES:
        return [AuditRow(check, "note", "too few studies to judge", studies, studies, f"{FEWEST_STUDIES} or more")]
    return list(_rows(check, _studies_of(told), studies, labels))


def _rows(check: str, affirmed: Mapping[str, set[str]], studies: int, labels: str) -> Iterator[AuditRow]:
    known = known_shares(labels)
    for label in label_set(labels):
        if label.name not in known:
            continue
        low, high = known[label.name]
        least, most = low / RARER, min(max(high * OFTENER, high + MORE), 1.0)
        having = set().union(*(affirmed.get(c, set()) for c in label.concepts))
        interval = wilson(len(having), studies)
        level: Level = "defect" if interval[0] > most else "note" if interval[1] < least else "fine"
        expected = f"{least:.1%} to {most:.1%}"
        yield AuditRow(check, level, label.name, len(having), studies, expected, tuple(sorted(having)[:_EXAMPLES]))


def check_agreement(told: Iterable[Told], concluded: Iterable[Told], studies: int) -> list[AuditRow]:
    """Return a defect for each concept that is affirmed in a tenth of the studies and more, and concluded in a fifth of those or fewer.

    Needs no known share: a finding that every second study affirms and no conclusion names is no finding.
    """
    affirmed, named = _studies_of(told), _studies_of(concluded)
    out = []
    for concept, having in sorted(affirmed.items()):
        what = concepts().get(concept)
        if what is None or what.kind != "abnormality" or not what.region:
            continue  # a node or a lesion somewhere is rarely concluded with
        both = having & named.get(concept, set())
        if len(having) >= 0.1 * studies and concept in named and wilson(len(both), len(having))[1] < 0.2:
            examples = tuple(sorted(having - both)[:_EXAMPLES])
            out.append(
                AuditRow(
                    "affirmed and never concluded", "defect", concept, len(both), len(having), "20.0% or more", examples
                )
            )
    return out


def _studies_of(told: Iterable[Told]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for study, concept in told:
        found[concept].add(study)
    return found


@cache
def known_shares(labels: str) -> dict[str, tuple[float, float]]:
    """Return label -> the lowest and the highest share that is known."""
    text = files("radfoundry.grounding.audit").joinpath("prevalence.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {row["label"]: (float(row["low"]), float(row["high"])) for row in rows if row["labels"] == labels}


def wilson(n: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the interval of a share n / of (Wilson 1927)."""
    share = n / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return centre - half, centre + half
