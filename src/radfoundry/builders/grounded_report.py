"""`build grounded-report`: sentences tied to organ masks, and the questions that they answer (RadGenome-Chest CT).

studies -> reports -> sentences, findings -> regions -> links -> presence, abnormality, location, size and disorder questions, then
region reports and the report itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radfoundry.builders.grounded.asking import Asker
from radfoundry.builders.grounded.disorders import ask_disorders
from radfoundry.builders.grounded.nodes import Nodes
from radfoundry.builders.grounded.places import ask_abnormality, ask_location
from radfoundry.builders.grounded.presence import ask_presence
from radfoundry.builders.grounded.sizes import ask_size
from radfoundry.builders.grounded.statements import told_of
from radfoundry.builders.samples import SampleMaker, studies_of
from radfoundry.builders.steps import FindRegions, LinkSentences, ReadReports, ReadStudies
from radfoundry.corpus import Pipeline
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Link, Sample, Sentence

__all__ = ["AskGroundedQuestions", "pipeline"]


def pipeline(root: Path, salt: str) -> Pipeline:
    """Return the steps of the grounded-report corpus."""
    return Pipeline(
        "grounded-report",
        (ReadStudies(salt, root), ReadReports(), FindRegions(), LinkSentences(), AskGroundedQuestions()),
    )


@dataclass(frozen=True)
class AskGroundedQuestions:
    """One fact a question; nothing is asked that the report both affirms and denies."""

    name: str = "ask-grounded"
    version: str = "2"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "images", "reports", "sentences", "findings", "regions", "links")
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
            told = told_of(batch, rows)
            ask = Asker(SampleMaker(rows.study, made_by), told, Nodes(told))
            for questions in QUESTIONS:
                out.add("samples", *questions(ask))
        return out


def _region_reports(ask: Asker) -> Iterator[Sample]:
    """Give a region's mask and ask for the sentences that are linked to it; the impression says them again in other words."""
    said: dict[str, list[tuple[Sentence, Link]]] = defaultdict(list)
    for sentence in (s for s in ask.told.sentences if s.section == "findings"):
        for link in ask.told.links.get(sentence.sentence_id, ()):
            if link.region_id and link.finding_id is None:
                said[link.region_id].append((sentence, link))
    regions = {r.region_id: r for r in ask.told.regions}
    for region_id, pairs in sorted(said.items()):
        region = regions[region_id]
        values = {"region": region.name, "text": " ".join(dict.fromkeys(sentence.text for sentence, _ in pairs))}
        evidence = [region_id, *(link.link_id for _, link in pairs)]
        yield ask.maker.ask(
            "region-report", "sentences", [region.image_id], values, evidence, region_ids=[region_id], about=region_id
        )


def _report(ask: Asker) -> Iterator[Sample]:
    findings = [s for s in ask.told.sentences if s.section == "findings"]
    if findings and ask.told.image_ids:
        yield ask.ask(
            "report", "findings", {"text": " ".join(s.text for s in findings)}, [s.sentence_id for s in findings]
        )


QUESTIONS = (ask_presence, ask_abnormality, ask_location, ask_size, ask_disorders, _region_reports, _report)
