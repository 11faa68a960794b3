"""`build grounded-report`: sentences tied to organ masks, and the questions that they answer (RadGenome-Chest CT).

studies -> reports -> sentences, findings -> regions -> links -> presence, location, size and disorder questions, region reports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radfoundry.builders.samples import SampleMaker, StudyRows, studies_of
from radfoundry.builders.steps import FindRegions, LinkSentences, ReadReports, ReadStudies
from radfoundry.corpus import Pipeline
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Finding, Link, Sample, Sentence

__all__ = ["AskGroundedQuestions", "pipeline"]


def pipeline(root: Path, salt: str) -> Pipeline:
    """Return the steps of the grounded-report corpus."""
    return Pipeline(
        "grounded-report",
        (ReadStudies(salt, root), ReadReports(), FindRegions(), LinkSentences(), AskGroundedQuestions()),
    )


@dataclass(frozen=True)
class _Statement:
    """A finding, its sentence, and the anatomy that the sentence names."""

    finding: Finding
    sentence: Sentence
    links: tuple[Link, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the sentence's regions, in order, each once; the lesions themselves left out."""
        return tuple(dict.fromkeys(link.name for link in self.links if link.finding_id is None))

    @property
    def evidence(self) -> list[str]:
        """Ids of the finding and of the links that carry it."""
        return [self.finding.finding_id, *(link.link_id for link in self.links)]


@dataclass(frozen=True)
class AskGroundedQuestions:
    """One fact a question; nothing is asked that the report both affirms and denies."""

    name: str = "ask-grounded"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "reports", "sentences", "findings", "links")
    fills: tuple[str, ...] = ("samples",)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing to set: wordings are in `wording.tsv`."""
        return {}

    def run(self, batch: Batch) -> Batch:
        """Return the samples of every study that has a report."""
        out = Batch()
        made_by = signature(self, "templates")
        for rows in studies_of(batch):
            maker = SampleMaker(rows.study, made_by)
            statements = _statements(batch, rows)
            out.add("samples", *_presence(maker, rows, statements))
            out.add("samples", *_places_and_sizes(maker, rows, statements))
            out.add("samples", *_disorders(maker, rows, statements))
            out.add("samples", *_region_reports(maker, rows, batch))
            out.add("samples", *_report(maker, rows, batch))
        return out


def _sentences(batch: Batch, rows: StudyRows) -> list[Sentence]:
    reports = {r.report_id for r in batch.table("reports") if r.study_id == rows.study.study_id}
    return sorted((s for s in batch.table("sentences") if s.report_id in reports), key=lambda s: s.index)


def _study_links(batch: Batch, rows: StudyRows) -> dict[str, list[Link]]:
    """Return the links of each sentence that lead into this study's images, or nowhere."""
    images = {i.image_id for i in rows.images}
    links: dict[str, list[Link]] = defaultdict(list)
    for link in batch.table("links"):
        if link.image_id is None or link.image_id in images:
            links[link.sentence_id].append(link)
    return links


def _statements(batch: Batch, rows: StudyRows) -> list[_Statement]:
    links = _study_links(batch, rows)
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in batch.table("findings"):
        findings[finding.sentence_id].append(finding)
    return [
        _Statement(f, s, tuple(k for k in links[s.sentence_id] if k.finding_id in (None, f.finding_id)))
        for s in _sentences(batch, rows)
        for f in findings[s.sentence_id]
    ]


def _image_ids(rows: StudyRows) -> list[str]:
    return [image.image_id for image in rows.images]


def _presence(maker: SampleMaker, rows: StudyRows, statements: Iterable[_Statement]) -> list[Sample]:
    """Ask once for each concept in each place; a place that is affirmed and denied is left out."""
    asked: dict[tuple[str, str], list[_Statement]] = defaultdict(list)
    for statement in statements:
        places = statement.places
        asked[(statement.finding.concept, places[0] if len(places) == 1 else "")].append(statement)
    out = []
    for (concept, place), said in sorted(asked.items()):
        if len({s.finding.presence for s in said}) != 1 or said[0].finding.presence == "uncertain":
            continue
        form = ("yes" if said[0].finding.presence == "present" else "no") + ("" if place else "-anywhere")
        out.append(
            maker.ask(
                "presence",
                form,
                _image_ids(rows),
                {"concept": _with_article(concept), "region": place},
                said[0].evidence,
                answer_kind="closed",
                choices=("yes", "no"),
                region_ids=_region_ids(said[0].links),
            )
        )
    return out


def _places_and_sizes(maker: SampleMaker, rows: StudyRows, statements: Iterable[_Statement]) -> list[Sample]:
    """Ask where and how large, for concepts that the report affirms exactly once."""
    present: dict[str, list[_Statement]] = defaultdict(list)
    for statement in statements:
        if statement.finding.presence == "present":
            present[statement.finding.concept].append(statement)
    out = []
    for concept, said in sorted(present.items()):
        if len(said) != 1:
            continue
        (one,) = said
        if len(one.places) == 1:
            values = {"concept": concept, "region": one.places[0]}
            out.append(
                maker.ask("location", "open", _image_ids(rows), values, one.evidence, region_ids=_region_ids(one.links))
            )
        if len(one.finding.measurements) == 1:
            size = " x ".join(f"{v:g}" for v in one.finding.measurements[0].values_mm) + " mm"
            out.append(maker.ask("size", "open", _image_ids(rows), {"concept": concept, "size": size}, one.evidence))
    return out


def _disorders(maker: SampleMaker, rows: StudyRows, statements: Iterable[_Statement]) -> list[Sample]:
    by_place: dict[str, list[_Statement]] = defaultdict(list)
    for statement in statements:
        if statement.finding.presence == "present" and len(statement.places) == 1:
            by_place[statement.places[0]].append(statement)
    out = []
    for place, said in sorted(by_place.items()):
        concepts = ", ".join(dict.fromkeys(s.finding.concept for s in said))
        evidence = [e for s in said for e in s.evidence]
        values = {"region": place, "concepts": concepts}
        out.append(
            maker.ask("disorder", "open", _image_ids(rows), values, evidence, region_ids=_region_ids(said[0].links))
        )
    return out


def _region_reports(maker: SampleMaker, rows: StudyRows, batch: Batch) -> list[Sample]:
    """Give a region's mask and ask for the sentences that are linked to it."""
    links = _study_links(batch, rows)
    told: dict[str, list[tuple[Sentence, Link]]] = defaultdict(list)
    for sentence in _sentences(batch, rows):
        for link in links[sentence.sentence_id]:
            if link.region_id and link.finding_id is None:
                told[link.region_id].append((sentence, link))
    regions = {r.region_id: r for r in rows.regions}
    out = []
    for region_id, said in sorted(told.items()):
        region = regions[region_id]
        text = " ".join(dict.fromkeys(sentence.text for sentence, _ in said))
        evidence = [region_id, *(link.link_id for _, link in said)]
        values = {"region": region.name, "text": text}
        out.append(
            maker.ask(
                "region-report",
                "sentences",
                [region.image_id],
                values,
                evidence,
                region_ids=[region_id],
                about=region_id,
            )
        )
    return out


def _report(maker: SampleMaker, rows: StudyRows, batch: Batch) -> list[Sample]:
    findings = [s for s in _sentences(batch, rows) if s.section == "findings"]
    if not findings or not rows.images:
        return []
    text = " ".join(s.text for s in findings)
    return [maker.ask("report", "findings", _image_ids(rows), {"text": text}, [s.sentence_id for s in findings])]


def _region_ids(links: Iterable[Link]) -> list[str]:
    return list(dict.fromkeys(link.region_id for link in links if link.region_id))


# things that are counted; conditions and substances take no article
_COUNTED = (
    "nodule",
    "mass",
    "lesion",
    "cyst",
    "fracture",
    "hernia",
    "cavity",
    "bulla",
    "stone",
    "node",
    "granuloma",
    "diverticulum",
)


def _with_article(concept: str) -> str:
    """Return "a nodule" and "an adrenal lesion", but "pleural effusion"."""
    if not concept.endswith(_COUNTED):
        return concept
    return f"{'an' if concept[:1] in 'aeiou' else 'a'} {concept}"
