"""Small corpora of stated sentences, for layouts that need no pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radfoundry.records import Finding, Image, Link, Measure, Report, Section, Sentence, Study


@dataclass
class Told:
    """A sentence, the regions that it is linked to, and what it states: (concept, presence)."""

    text: str
    places: Sequence[str] = ()
    said: Sequence[tuple[str, str]] = ()
    section: str = "findings"
    size: str = ""


class StatedCorpus:
    """What a layout reads of a corpus: rows."""

    path = Path("stated")

    def __init__(self, rows: dict[str, list[Any]]) -> None:
        self._rows = rows

    def rows(self, table: str) -> list[Any]:
        return self._rows.get(table, [])


def corpus_of(*told: Told) -> Any:
    """Return a corpus of one CT study whose report says this."""
    rows: dict[str, list[Any]] = defaultdict(list)
    rows["studies"] = [Study("sty_1", "pat_1", ("CT",), split="train", licence="CC0-1.0")]
    rows["images"] = [
        Image("img_1", "sty_1", "CT", 3, (4, 4, 4), (1.0,) * 3, (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1), "mm")
    ]
    whole = " ".join(one.text for one in told)
    rows["reports"] = [Report("rep_1", "sty_1", "en", whole, (Section("findings", 0, len(whole)),))]
    at = 0
    for index, one in enumerate(told):
        name = f"sen_{index}"
        rows["sentences"].append(Sentence(name, "rep_1", one.section, index, at, at + len(one.text), one.text))
        at += len(one.text) + 1
        for place in one.places:
            side = "left" if place.startswith("left") else "right" if place.startswith("right") else "none"
            rows["links"].append(
                Link(f"lnk_{index}_{place}", name, None, None, place, side, None, False, "", (), "", 1.0)
            )
        for number, (concept, presence) in enumerate(one.said):
            sizes = (Measure((6.0, 4.0), one.size),) if one.size else ()
            rows["findings"].append(
                Finding(f"fnd_{index}_{number}", name, concept, presence, "none", "none", None, sizes, 0, 1)
            )
    return StatedCorpus(rows)
