"""`build summary`: reports -> conversational summaries (XrayGPT).

studies -> reports -> cleaned findings and impression -> one conversation a study, each sentence traceable to its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radfoundry.builders.samples import SampleMaker, studies_of
from radfoundry.builders.steps import ReadReports, ReadStudies
from radfoundry.corpus import Pipeline
from radfoundry.language import clean_sentence, left_behind
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Sentence

__all__ = ["Summarise", "pipeline"]


def pipeline(root: Path, salt: str) -> Pipeline:
    """Return the steps of the summary corpus."""
    return Pipeline("summary", (ReadStudies(salt, root), ReadReports(), Summarise()))


@dataclass(frozen=True)
class Summarise:
    """Say what the study shows in cleaned sentences: impression first, then findings that it leaves out.

    No language model is asked: every word comes from the report, so that nothing is invented.
    """

    name: str = "summarise"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "images", "reports", "sentences")
    fills: tuple[str, ...] = ("samples",)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing to set: the cleaning rules are data of the language room."""
        return {}

    def run(self, batch: Batch) -> Batch:
        """Return a summary sample for each study whose cleaned report says something."""
        out = Batch()
        made_by = signature(self, "rules")
        reports = {r.study_id: r for r in batch.table("reports")}
        for rows in studies_of(batch):
            report = reports.get(rows.study.study_id)
            if report is None or not rows.images:
                continue
            kept = [s for s in batch.table("sentences") if s.report_id == report.report_id]
            text, evidence = _summary(kept)
            if text:
                ids = [image.image_id for image in rows.images]
                out.add(
                    "samples", SampleMaker(rows.study, made_by).ask("summary", "chat", ids, {"text": text}, evidence)
                )
        return out


def _summary(sentences: list[Sentence]) -> tuple[str, list[str]]:
    """Return the cleaned sentences of impression and findings, each once, and the ids that they come from."""
    order = {"impression": 0, "findings": 1}
    told: dict[str, str] = {}
    for sentence in sorted((s for s in sentences if s.section in order), key=lambda s: (order[s.section], s.index)):
        clean = clean_sentence(sentence.text)
        if clean and not left_behind(clean) and clean.lower() not in told:
            told[clean.lower()] = sentence.sentence_id
    by_id = {s.sentence_id: s for s in sentences}
    return " ".join(clean_sentence(by_id[i].text) for i in told.values()), list(told.values())
