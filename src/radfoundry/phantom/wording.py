"""A patient's truth put into a radiologist's words: negated, hedged, compared, partly left out.

The words are in `wordings.tsv` and `places.tsv`; the test split has wordings of its own, which no training report uses.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from radfoundry.geometry import combine_sides
from radfoundry.phantom.dice import Dice
from radfoundry.phantom.truth import TruthFinding, TruthLink

__all__ = ["Wording", "Written", "read_wordings", "read_table", "write_report"]


@dataclass(frozen=True)
class Wording:
    """One line of wordings.tsv."""

    kind: str
    concepts: tuple[str, ...]
    presence: str
    split: str
    modality: str
    regions: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Written:
    """A report, the truth with what was said of it, and the sentences tied to regions."""

    text: str
    truth: tuple[TruthFinding, ...]
    links: tuple[TruthLink, ...]


@cache
def read_wordings() -> tuple[Wording, ...]:
    """Return all wordings."""
    return tuple(
        Wording(
            row["kind"], _several(row["concepts"]), row["presence"], row["split"], row["modality"],
            _several(row["regions"]), row["text"],
        )
        for row in read_table("wordings.tsv")
    )  # fmt: skip


@cache
def read_places() -> dict[tuple[str, str], tuple[str, ...]]:
    """Return (region, split) -> the ways to say it."""
    places: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in read_table("places.tsv"):
        key = (row["region"], row["split"])
        places[key] = (*places.get(key, ()), row["text"])
    return places


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of this room."""
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def _several(cell: str) -> tuple[str, ...]:
    return tuple(cell.split("|")) if cell else ()


def write_report(dice: Dice, truth: Sequence[TruthFinding], *, split: str, modality: str, compared: bool) -> Written:
    """Return a report of the truth, and the truth with the sentence that tells each finding (none for what is left out)."""
    return _Writer(dice, truth, "test" if split == "test" else "train", modality, compared).write()


class _Writer:
    def __init__(self, dice: Dice, truth: Sequence[TruthFinding], split: str, modality: str, compared: bool) -> None:
        self.dice, self.split, self.modality, self.compared = dice, split, modality, compared
        self.truth = list(truth)
        self.headlines: list[str] = []

    def write(self) -> Written:
        groups = self.dice.shuffled(self._groups())
        present = [self._tell(group) for group in groups if not self.dice.chance(0.1)]
        absent = self._deny()
        normal = self._aside("normal", 0, 3)
        body = (
            [*present, *absent, *normal] if self.dice.chance(0.5) else self.dice.shuffled([*present, *absent, *normal])
        )
        body += self._aside("distractor", 0, 1)
        links = [link for paragraph in body for link in paragraph]
        return Written(self._lay_out(links), tuple(self.truth), tuple(links))

    def _groups(self) -> list[list[int]]:
        """Present findings that one sentence tells together: the same concept on both sides, if it is not counted."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, finding in enumerate(self.truth):
            if finding.presence == "present":
                paired = finding.concept in ("pleural effusion", "emphysema")
                key = (finding.concept, finding.change) if paired else (finding.concept, str(i))
                groups.setdefault(key, []).append(i)
        return list(groups.values())

    def _choose(self, kind: str, concept: str, presence: str) -> Wording:
        fitting = [
            w
            for w in read_wordings()
            if w.kind == kind
            and w.concepts == (concept,)
            and w.presence == presence
            and w.split in (self.split, "any")
            and w.modality in (self.modality, "any")
        ]
        return self.dice.pick(fitting)

    def _tell(self, group: list[int]) -> list[TruthLink]:
        findings = [self.truth[i] for i in group]
        first = findings[0]
        faint = first.contrast is not None and first.contrast < 3
        stated = "uncertain" if self.dice.chance(0.6 if faint else 0.06) else "present"
        wording = self._choose("finding", first.concept, stated)
        regions = tuple(dict.fromkeys(f.region for f in findings))
        sentence = self._fill(wording.text, findings)
        self.headlines.append(self._fill(self._choose("finding", first.concept, stated).text, findings))
        links = [TruthLink(sentence, regions, (first.concept,))]
        if self.compared and first.change and self.dice.chance(0.8):
            said = self._choose("change", "any", first.change).text
            links.append(TruthLink(said, regions, (first.concept,)))
        for i in group:
            self.truth[i] = self.truth[i].told(sentence, stated)
        return links

    def _fill(self, text: str, findings: Sequence[TruthFinding]) -> str:
        first = findings[0]
        side = combine_sides([f.side for f in findings])
        place = ""
        if "lace}" in text:
            region = first.region if len(findings) == 1 else "lung upper lobe"
            place = self.dice.pick(read_places()[region, self.split])
        size = "" if first.size_mm is None else self._size(first.size_mm)
        words = {"place": place, "Place": _capital(place), "side": side, "Side": _capital(side), "size": size}
        return _one_or_both(text.format(**words, concept=first.concept), side)

    def _size(self, mm: float) -> str:
        return f"{round(mm)} mm" if self.dice.chance(0.6) else f"{round(mm) / 10:.1f} cm"

    def _deny(self) -> list[list[TruthLink]]:
        """Say that some of what is absent is absent; of what has gone since the prior, say that it has gone."""
        unsaid = {f.concept: i for i, f in enumerate(self.truth) if f.presence == "absent"}
        said: list[list[TruthLink]] = []
        for concept, i in list(unsaid.items()):
            if self.truth[i].change == "resolved" and self.compared:
                text = self._choose("resolved", "any", "absent").text
                said.append([self._denied(text.format(concept=concept), [i], (self.truth[i].region,))])
                del unsaid[concept]
        denials = [
            w
            for w in read_wordings()
            if w.kind == "finding"
            and w.presence == "absent"
            and w.split == self.split
            and w.modality in (self.modality, "any")
        ]
        for wording in self.dice.shuffled(denials)[: self.dice.whole(4, 14)]:
            if all(c in unsaid for c in wording.concepts):
                said.append([self._denied(wording.text, [unsaid.pop(c) for c in wording.concepts], wording.regions)])
        return said

    def _denied(self, sentence: str, which: Sequence[int], regions: tuple[str, ...]) -> TruthLink:
        for i in which:
            self.truth[i] = self.truth[i].told(sentence, "absent")
        return TruthLink(sentence, regions, tuple(self.truth[i].concept for i in which))

    def _aside(self, kind: str, low: int, high: int) -> list[list[TruthLink]]:
        fitting = [
            w
            for w in read_wordings()
            if w.kind == kind and w.split in (self.split, "any") and w.modality in (self.modality, "any")
        ]
        chosen = self.dice.shuffled(fitting)[: self.dice.whole(low, high)]
        return [[TruthLink(w.text, w.regions, ())] for w in chosen]

    def _impression(self) -> list[str]:
        """The findings once more, in other words, or that there are none."""
        if not self.headlines:
            return [self._choose("impression", "none", "absent").text]
        return self.headlines[: self.dice.whole(1, 3)]

    def _lay_out(self, links: Sequence[TruthLink]) -> str:
        parts = []
        if self.dice.chance(0.4):
            parts.append("HISTORY: " + self._aside("history", 1, 1)[0][0].sentence)
        if self.compared:
            parts.append("COMPARISON: " + ("Prior CT." if self.modality == "CT" else "Prior radiograph."))
        parts.append("FINDINGS: " + " ".join(link.sentence for link in links))
        impression = self._impression()
        numbered = len(impression) > 1 and self.dice.chance(0.5)
        lines = [f"{i}. {line}" for i, line in enumerate(impression, 1)] if numbered else impression
        parts.append("IMPRESSION: " + ("\n" if numbered else " ").join(lines))
        return "\n".join(parts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _one_or_both(text: str, side: str) -> str:
    """Put a sentence that speaks of one side into the plural where it must speak of both."""
    if side != "bilateral":
        return text
    for single, plural in _PLURALS:
        text = text.replace(single, plural)
    return text


_PLURALS = (
    ("There is a bilateral pleural effusion", "There are bilateral pleural effusions"),
    ("A bilateral pleural effusion is", "Bilateral pleural effusions are"),
    ("Bilateral pleural effusion is", "Bilateral pleural effusions are"),
    ("the bilateral pleural space", "both pleural spaces"),
    ("A pleural effusion is demonstrated on the bilateral side", "Pleural effusions are demonstrated on both sides"),
    ("Possible bilateral pleural effusion", "Possible bilateral pleural effusions"),
)
