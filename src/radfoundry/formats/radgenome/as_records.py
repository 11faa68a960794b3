"""RadGenome's tables as the rows of a grounded-report corpus: what the files say, each thing once, without the files' duplicates.

A volume is a study; its report is its sentences, each once however many regions repeat it; a path's row ties them to a region;
findings of the question tables are put on the sentence of their region that says them. A sample is a row, asked in words of ours.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from radfoundry.formats.radgenome.paths import WHOLE_SCAN, ancestors_of, head_of, node_of, region_of_path
from radfoundry.formats.radgenome.tables import RadGenome, listed, patient_of, split_of_volume
from radfoundry.geometry import Side
from radfoundry.ids import make_id, normalised_text
from radfoundry.language import find_findings, find_measurements
from radfoundry.language.sentences import split_sentences
from radfoundry.records import Finding, Link, MadeBy, Measure, Part, Report, Sample, Section, Sentence, Study, Turn

__all__ = ["LICENCE", "records_of", "report_of", "same_text", "sentences_of"]

LICENCE = "CC-BY-NC-SA-4.0"
"""The terms of the CT-RATE reports that every row is made of."""
_MADE_BY = MadeBy("radgenome", "1", "", "published tables")
_TRUST = 0.94
"""5.9 % of the published links that were read by hand were wrong."""


def sentences_of(text: str) -> list[str]:
    """Return the sentences that a row's text joins."""
    return [text[start:end] for start, end in split_sentences(text)]


def same_text(one: str, other: str) -> bool:
    """Say whether two rows hold the same sentences: their order is arbitrary, so they are compared as multisets."""
    return sorted(sentences_of(one)) == sorted(sentences_of(other))


def report_of(rows: Mapping[str, str]) -> str:
    """Return the report of a volume from its path -> text: the whole-volume row, else the heads' sentences, each once.

    A sentence about two regions stands in two rows; joining the rows, as a published evaluation does, would say it twice.
    """
    if rows.get(WHOLE_SCAN):
        return rows[WHOLE_SCAN]
    heads = (text for path, text in sorted(rows.items()) if path and not ancestors_of(path))
    return " ".join(dict.fromkeys(sentence for text in heads for sentence in sentences_of(text)))


def records_of(data: RadGenome) -> dict[str, list[Any]]:
    """Return table -> rows for every volume. Raises UnreadableError for a volume name of another kind."""
    rows: dict[str, list[Any]] = defaultdict(list)
    reports, by_volume = data.reports(), _by_volume(data)
    for volume in data.volumes:
        study = _study(volume)
        rows["studies"].append(study)
        told = reports.get(volume, {})
        if text := report_of(told):
            report = _report(study, text)
            sentences = _sentences(report)
            links = list(_links(sentences, told))
            rows["reports"].append(report)
            rows["sentences"] += sentences
            rows["links"] += links
            rows["findings"] += _findings(sentences, links, by_volume[volume])
        rows["samples"] += _samples(study, told, by_volume[volume])
    return dict(rows)


def _by_volume(data: RadGenome) -> dict[str, dict[str, list[Any]]]:
    found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table in ("vqa_presence", "vqa_abnormality", "vqa_location", "vqa_size", "case_disorders"):
        for row in getattr(data, table):
            found[row.volume][table].append(row)
    return found


def _study(volume: str) -> Study:
    split = split_of_volume(volume)
    patient = make_id("patient", "radgenome", patient_of(volume))
    study = make_id("study", "radgenome", volume)
    return Study(study, patient, ("CT",), "chest", split=split, licence=LICENCE, source="RadGenome-Chest CT")


def _report(study: Study, text: str) -> Report:
    name = make_id("report", normalised_text(text))
    return Report(name, study.study_id, "en", text, (Section("findings", 0, len(text)),))


def _sentences(report: Report) -> list[Sentence]:
    return [
        Sentence(
            make_id("sentence", report.report_id, start, end), report.report_id, "findings", index, start, end,
            report.text[start:end],
        )
        for index, (start, end) in enumerate(split_sentences(report.text))
    ]  # fmt: skip


def _links(sentences: Iterable[Sentence], told: Mapping[str, str]) -> Iterator[Link]:
    """A sentence is tied to each path whose row holds it; ancestors' rows repeat those of their children and say nothing new."""
    holding = {path: set(sentences_of(text)) for path, text in told.items() if path != WHOLE_SCAN}
    for sentence in sentences:
        paths = [path for path, texts in holding.items() if sentence.text in texts]
        finest = [path for path in paths if not any(path in ancestors_of(other) for other in paths)]
        for name in sorted({region_of_path(path) for path in finest}):
            yield Link(
                make_id("link", sentence.sentence_id, "", name, _side(name), ""), sentence.sentence_id, None, None, name,
                _side(name), None, False, "the tables name no image", (), "published row", _TRUST,
            )  # fmt: skip


def _side(name: str) -> Side:
    return "left" if name.startswith("left ") else "right" if name.startswith("right ") else "none"


def _findings(sentences: list[Sentence], links: list[Link], told: Mapping[str, list[Any]]) -> list[Finding]:
    """Put each finding of the yes and no rows on the sentences of its region that hold its words, or mean it."""
    text_of = {sentence.sentence_id: sentence for sentence in sentences}
    at: dict[str, list[Sentence]] = defaultdict(list)
    for link in links:
        at[link.name].append(text_of[link.sentence_id])
    found: dict[str, Finding] = {}
    for row in told["vqa_presence"]:
        for concept in listed(row.finding):
            for sentence in at[region_of_path(row.anatomy)]:
                if span := _span(sentence.text, concept):
                    one = _finding(sentence, concept, row.presence, row.anatomy, *span)
                    found[one.finding_id] = one
    return list(found.values())


def _span(text: str, concept: str) -> tuple[int, int] | None:
    start = text.lower().find(concept.lower())
    if start >= 0:
        return start, start + len(concept)
    return next(((s.start, s.end) for s in find_findings(text) if s.concept == concept), None)


def _finding(sentence: Sentence, concept: str, answer: str, path: str, start: int, end: int) -> Finding:
    sizes = tuple(Measure(m.values_mm, m.text) for m in find_measurements(sentence.text)) if answer == "Yes." else ()
    presence = "present" if answer == "Yes." else "absent"
    name = make_id("finding", sentence.sentence_id, concept, presence)
    side = _side(node_of(path))
    return Finding(name, sentence.sentence_id, concept, presence, "none", side, None, sizes, start, end)


def _samples(study: Study, reports: Mapping[str, str], told: Mapping[str, list[Any]]) -> Iterator[Sample]:
    for row in told["vqa_presence"]:
        values = {"finding": row.finding, "region": node_of(row.anatomy), "answer": row.presence.removesuffix(".")}
        yield _sample(study, "presence", values)
    for row in told["vqa_abnormality"]:
        yield _sample(study, "abnormality", {"finding": row.abnormality, "region": node_of(row.anatomy)})
    for row in told["vqa_location"]:
        yield _sample(study, "location", {"finding": row.abnormality, "path": row.anatomy})
    for row in told["vqa_size"]:
        yield _sample(study, "size", {"finding": row.abnormality, "region": node_of(row.anatomy), "size": row.size})
    for row in told["case_disorders"]:
        yield _sample(study, "disorders", {"finding": row.disorders})
    for path, text in reports.items():
        yield _sample(
            study, "region" if path else "report", {"region": node_of(path), "text": text, "head": head_of(path)}
        )


def _sample(study: Study, table: str, values: Mapping[str, str]) -> Sample:
    wording = _wordings()[table]
    question, answer = (_fill(wording[part], values) for part in ("question", "answer"))
    turns = (Turn("user", (Part("text", question),)), Turn("assistant", (Part("text", answer),)))
    closed = wording["answer_kind"] == "closed"
    return Sample(
        make_id("sample", study.study_id, table, *sorted(values.values())), study.study_id, (), wording["task"], turns,
        wording["answer_kind"], ("yes", "no") if closed else (), (), (), (), study.split, study.licence, _MADE_BY,
    )  # fmt: skip


def _fill(pattern: str, values: Mapping[str, str]) -> str:
    """Put values into their slots, each slot once and in one go: a value that looks like a slot stays as it is."""
    head, *rest = pattern.split("{")
    parts = [piece.split("}", 1) for piece in rest]
    return head + "".join(values[slot] + after for slot, after in parts)


@cache
def _wordings() -> dict[str, dict[str, str]]:
    text = Path(__file__).with_name("questions.tsv").read_text(encoding="utf-8")
    return {row["table"]: row for row in csv.DictReader(text.splitlines(), delimiter="\t")}
