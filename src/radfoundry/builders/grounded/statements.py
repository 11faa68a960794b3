"""What a study's report tells: its sentences, the links of each, its statements, and the regions of its images."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from radfoundry.builders.samples import StudyRows
from radfoundry.grounding.statements import STATING, Statement, home_of, overlap, statements_of, within
from radfoundry.protocols import Batch
from radfoundry.records import Finding, Link, Region, Sentence

__all__ = ["STATING", "Statement", "Told", "home_of", "overlap", "told_of", "within"]


@dataclass(frozen=True)
class Told:
    """A study and its report. mentioned: every concept of any sentence, wherever it stands."""

    rows: StudyRows
    sentences: tuple[Sentence, ...]
    links: dict[str, list[Link]]
    statements: tuple[Statement, ...]
    mentioned: frozenset[str]

    @property
    def image_ids(self) -> list[str]:
        """Ids of the study's images."""
        return [image.image_id for image in self.rows.images]

    @property
    def regions(self) -> tuple[Region, ...]:
        """Every region of the study's images."""
        return self.rows.regions


def told_of(batch: Batch, rows: StudyRows) -> Told:
    """Return what the report of a study tells."""
    reports = {r.report_id for r in batch.table("reports") if r.study_id == rows.study.study_id}
    sentences = sorted((s for s in batch.table("sentences") if s.report_id in reports), key=lambda s: s.index)
    images, mine = {i.image_id for i in rows.images}, {s.sentence_id for s in sentences}
    links: dict[str, list[Link]] = defaultdict(list)
    for link in batch.table("links"):
        if link.sentence_id in mine and (link.image_id is None or link.image_id in images):
            links[link.sentence_id].append(link)
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in batch.table("findings"):
        if finding.sentence_id in mine:
            findings[finding.sentence_id].append(finding)
    mentioned = frozenset(f.concept for several in findings.values() for f in several)
    return Told(rows, tuple(sentences), dict(links), statements_of(sentences, links, findings), mentioned)
