"""Reports -> sentences and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from radfoundry.ids import make_id
from radfoundry.language import find_findings, parse_report
from radfoundry.protocols import Batch, Needs
from radfoundry.records import Finding, Measure, Report, Sentence

__all__ = ["ReadReports"]


@dataclass(frozen=True)
class ReadReports:
    """Cut each report into sentences and each sentence into statements."""

    name: str = "read-reports"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("reports",)
    fills: tuple[str, ...] = ("sentences", "findings")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing to set: the lexicons are data of the language room."""
        return {}

    def run(self, batch: Batch) -> Batch:
        """Return the sentences and findings of every report."""
        out = Batch()
        for report in batch.table("reports"):
            for sentence in _sentences(report):
                out.add("sentences", sentence)
                out.add("findings", *_findings(sentence))
        return out


def _sentences(report: Report) -> list[Sentence]:
    return [
        Sentence(
            sentence_id=make_id("sentence", report.report_id, s.start, s.end),
            report_id=report.report_id,
            section=s.section,
            index=s.index,
            start=s.start,
            end=s.end,
            text=s.text,
        )
        for s in parse_report(report.text).sentences
    ]


def _findings(sentence: Sentence) -> list[Finding]:
    return [
        Finding(
            finding_id=make_id("finding", sentence.sentence_id, order, s.concept, s.start),
            sentence_id=sentence.sentence_id,
            concept=s.concept,
            presence=s.presence,
            temporal=s.temporal,
            side=s.side,
            count=s.count,
            measurements=tuple(Measure(m.values_mm, m.text) for m in s.measurements),
            start=s.start,
            end=s.end,
        )
        for order, s in enumerate(find_findings(sentence.text))
    ]
