"""A grounded corpus as RadGenome's tables: sentences gather at the paths of their regions, findings become yes and no rows.

corpus -> volumes with names -> sentences and statements at paths -> rows. Questions are not stored: readers draw them from templates.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from string import ascii_lowercase
from typing import TYPE_CHECKING, NamedTuple

from radfoundry.formats.radgenome.paths import (
    HEADS,
    WHOLE_SCAN,
    ancestors_of,
    every_path,
    paths_of_region,
)
from radfoundry.formats.radgenome.tables import (
    SPLITS,
    AbnormalityRow,
    DisorderRow,
    PresenceRow,
    RadGenome,
    ReportRow,
    SizeRow,
    joined,
)
from radfoundry.language import concepts
from radfoundry.language.places import head_of
from radfoundry.records import Finding, Image, Link, Sentence, Study

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus

__all__ = ["CLEAN", "Habits", "Volume", "tables_of", "volumes_of"]

_DEFECT = re.compile(r"pericardial effusion\b.*\bnot\b", re.IGNORECASE)


@dataclass(frozen=True)
class Habits:
    """What the published tables do and anatomy does not.

    as_published: the aorta stands in the mediastinum and in the abdomen, the middle lobe in the right lung alone, what is said of
    both sides at the unsided node alone, and a finding may be both affirmed and denied on a path. pericardial_defect: a denied
    effusion is affirmed where the sentence begins with "Pericardial effusion", the defect that puts it into half of the volumes.
    """

    as_published: bool = False
    pericardial_defect: bool = False


CLEAN = Habits()


@dataclass(frozen=True)
class Volume:
    """An image that goes into the layout under a name of its own."""

    name: str
    study: Study
    image: Image


class _Statement(NamedTuple):
    finding: Finding
    paths: frozenset[str]


@dataclass
class _Told:
    """What a volume's findings section says at each path, ancestors included."""

    sentences: list[Sentence] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    present: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    absent: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sizes: list[tuple[str, str, str]] = field(default_factory=list)


def volumes_of(corpus: Corpus) -> list[Volume]:
    """Return one CT volume a study, named `<split>_<patient>_<scan>_1.nii.gz` in the order of the ids.

    Of several volumes the finest along z is taken. Studies without a CT volume have no place in this layout.
    """
    chosen: dict[str, Image] = {}
    for image in sorted(corpus.rows("images"), key=lambda i: (-i.shape[0], i.image_id)):
        if image.dimensions == 3 and image.modality == "CT":
            chosen.setdefault(image.study_id, image)
    first_word = {split: word for word, split in SPLITS.items()}
    patients: dict[str, dict[str, list[Study]]] = defaultdict(lambda: defaultdict(list))
    for study in corpus.rows("studies"):
        if study.study_id in chosen:
            patients[first_word.get(study.split, "train")][study.patient_id].append(study)
    return [
        Volume(f"{word}_{number}_{letters}_1.nii.gz", study, chosen[study.study_id])
        for word, of_split in patients.items()
        for number, patient in enumerate(sorted(of_split), start=1)
        for letters, study in zip(_letters(), of_split[patient], strict=False)
    ]


def _letters() -> Iterator[str]:
    """Yield a to z, then aa to zz, and so on."""
    for width in count(1):
        for number in range(26**width):
            yield "".join(ascii_lowercase[number // 26**place % 26] for place in reversed(range(width)))


def tables_of(corpus: Corpus, habits: Habits = CLEAN, volumes: Iterable[Volume] | None = None) -> RadGenome:
    """Return the tables of every volume of a corpus."""
    rows: dict[str, list] = defaultdict(list)
    reader = _StudyText(corpus, habits)
    for volume in volumes_of(corpus) if volumes is None else volumes:
        told = reader.told(volume.study.study_id)
        rows["region_report"] += _report_rows(volume.name, told)
        for path in _in_order(told.present):
            cell = joined(told.present[path])
            rows["vqa_abnormality"].append(AbnormalityRow(volume.name, path, cell))
            rows["vqa_location"].append(AbnormalityRow(volume.name, path, cell))
            rows["vqa_presence"].append(PresenceRow(volume.name, path, cell, "Yes."))
        for path in _in_order(told.absent):
            rows["vqa_presence"].append(PresenceRow(volume.name, path, joined(told.absent[path]), "No."))
            if path not in told.present:
                rows["vqa_abnormality"].append(AbnormalityRow(volume.name, path, joined(())))
        rows["vqa_size"] += [SizeRow(volume.name, path, finding, size) for path, finding, size in told.sizes]
        rows["case_disorders"].append(DisorderRow(volume.name, joined(reader.disorders(volume.study.study_id))))
    return RadGenome(**{table: tuple(values) for table, values in rows.items()})


def _report_rows(volume: str, told: _Told) -> list[ReportRow]:
    whole = " ".join(dict.fromkeys(_closed(sentence.text) for sentence in told.sentences))
    rows = [ReportRow(volume, WHOLE_SCAN, whole)] if whole else []
    return rows + [ReportRow(volume, path, " ".join(told.texts[path])) for path in _in_order(told.texts)]


def _in_order(paths: Iterable[str]) -> list[str]:
    """Heads in the published order, what they hold below them."""
    place = {path: number for number, path in enumerate(every_path())}
    return sorted(paths, key=lambda path: (HEADS.index(path.split("/")[0]), place[path]))


class _StudyText:
    """Sentences, findings and links of a corpus by study."""

    def __init__(self, corpus: Corpus, habits: Habits) -> None:
        self._habits = habits
        study_of = {row.report_id: row.study_id for row in corpus.rows("reports")}
        self._sentences: dict[str, list[Sentence]] = defaultdict(list)
        for sentence in sorted(corpus.rows("sentences"), key=lambda s: s.index):
            self._sentences[study_of[sentence.report_id]].append(sentence)
        self._findings: dict[str, list[Finding]] = defaultdict(list)
        for finding in sorted(corpus.rows("findings"), key=lambda f: (f.start, f.concept)):
            self._findings[finding.sentence_id].append(finding)
        self._links: dict[str, list[Link]] = defaultdict(list)
        for link in corpus.rows("links"):
            if link.finding_id is None:
                self._links[link.sentence_id].append(link)

    def told(self, study_id: str) -> _Told:
        """Return what the findings section says; an impression gives no rows about regions."""
        told = _Told()
        statements: list[_Statement] = []
        for sentence in self._sentences[study_id]:
            if sentence.section == "findings":
                told.sentences.append(sentence)
                statements += self._statements(sentence)
                for path in self._paths(link.name for link in self._links[sentence.sentence_id]):
                    _once(told.texts[path], _closed(sentence.text))
        self._say(told, statements)
        return told

    def disorders(self, study_id: str) -> list[str]:
        """Return what the impression affirms, each once; what the findings do where there is no impression."""
        sentences = self._sentences[study_id]
        chosen = [s for s in sentences if s.section == "impression"] or [
            s for s in sentences if s.section == "findings"
        ]
        found = (f for sentence in chosen for f in self._findings[sentence.sentence_id])
        return list(dict.fromkeys(f.concept for f in found if f.presence == "present"))

    def _statements(self, sentence: Sentence) -> list[_Statement]:
        names = dict.fromkeys(link.name for link in self._links[sentence.sentence_id])
        defect = self._habits.pericardial_defect and _DEFECT.match(sentence.text)
        out = []
        for finding in self._findings[sentence.sentence_id]:
            if finding.concept == "pericardial effusion" and defect:
                out.append(_Statement(replace(finding, presence="present"), self._paths(["pericardium"])))
            elif finding.presence != "uncertain" and (paths := self._paths(_places(finding, names))):
                out.append(_Statement(finding, paths))
        return out

    def _paths(self, names: Iterable[str]) -> frozenset[str]:
        names = list(names)
        if self._habits.as_published:
            names = _both_sides_as_one(names)
        return frozenset().union(*(paths_of_region(name, as_published=self._habits.as_published) for name in names))

    def _say(self, told: _Told, statements: list[_Statement]) -> None:
        clean = not self._habits.as_published
        if clean:
            statements = _without_contradictions(statements)
        for finding, paths in statements:
            side = told.present if finding.presence == "present" else told.absent
            for path in paths:
                _once(side[path], finding.concept)
        if clean:
            _affirmation_wins(told)
        told.sizes = _sizes(statements)


def _places(finding: Finding, names: Iterable[str]) -> list[str]:
    """Of the regions that a sentence names, those that a finding is said of: of its side, and under the head where it lives."""
    other = {"left": "right", "right": "left"}.get(finding.side, "-")
    names = [name for name in names if not name.startswith(f"{other} ")]
    known = concepts().get(finding.concept)
    if known is None or not known.region:
        return names
    at_home = [name for name in names if head_of(name) == head_of(known.region)]
    return at_home or names


def _both_sides_as_one(names: list[str]) -> list[str]:
    """Put "lung" for "left lung" and "right lung"."""
    pairs = {name: name.split(" ", 1)[1] for name in names if name.startswith(("left ", "right "))}
    twice = {whole for whole in pairs.values() if {f"left {whole}", f"right {whole}"} <= pairs.keys()}
    return [name for name in names if pairs.get(name) not in twice] + sorted(twice)


def _without_contradictions(statements: list[_Statement]) -> list[_Statement]:
    """Leave out what is both affirmed and denied of the very same place."""
    said: dict[tuple[frozenset[str], str], set[str]] = defaultdict(set)
    for finding, paths in statements:
        said[paths, finding.concept].add(finding.presence)
    return [one for one in statements if len(said[one.paths, one.finding.concept]) == 1]


def _affirmation_wins(told: _Told) -> None:
    """A nodule in the right lung and none in the left one is a nodule in the lungs."""
    for path in list(told.absent):
        told.absent[path] = [concept for concept in told.absent[path] if concept not in told.present.get(path, ())]
        if not told.absent[path]:
            del told.absent[path]


def _sizes(statements: Iterable[_Statement]) -> list[tuple[str, str, str]]:
    """One row a path below the head for each measurement of a finding that is there."""
    rows: dict[tuple[str, str, str], None] = {}
    for finding, paths in statements:
        for measure in finding.measurements if finding.presence == "present" else ():
            size = _size_text(measure.text, measure.values_mm)
            rows |= {(path, finding.concept, size): None for path in _in_order(paths) if ancestors_of(path)}
    return list(rows)


def _size_text(text: str, values_mm: Iterable[float]) -> str:
    """The report's own words where they name a unit."""
    return text if text.endswith(("mm", "cm")) else "x".join(f"{value:g}" for value in values_mm) + " mm"


def _closed(sentence: str) -> str:
    """A row joins its sentences by spaces, so each lies on one line and ends with a stop."""
    text = " ".join(sentence.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _once(texts: list[str], text: str) -> None:
    if text not in texts:
        texts.append(text)
