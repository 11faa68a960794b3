"""Sentences and findings -> links to regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from radfoundry.grounding.linker import Linker, RuleLinker
from radfoundry.grounding.linking import Places, link_sentences
from radfoundry.protocols import Batch, Needs

__all__ = ["LinkSentences"]


# what was asked, and how it was done, is said of no place in this image
GROUNDED = ("findings", "impression")


@dataclass(frozen=True)
class LinkSentences:
    """Name each sentence's regions and tie them to the masks of the study's images."""

    mapping: Literal["clean", "compat"] = "clean"
    linker: Linker | None = None
    name: str = "link-sentences"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("reports", "sentences", "findings", "images", "regions")
    fills: tuple[str, ...] = ("links",)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Which mapping from words to regions."""
        return {"mapping": self.mapping}

    def run(self, batch: Batch) -> Batch:
        """Return the links of every report."""
        out = Batch()
        linker = self.linker or RuleLinker(self.mapping)
        study_of_image = {image.image_id: image.study_id for image in batch.table("images")}
        for report in batch.table("reports"):
            sentences = sorted(
                (s for s in batch.table("sentences") if s.report_id == report.report_id and s.section in GROUNDED),
                key=lambda s: s.index,
            )
            regions = tuple(r for r in batch.table("regions") if study_of_image[r.image_id] == report.study_id)
            mentions = linker.link([s.text for s in sentences])
            out.add("links", *link_sentences(sentences, mentions, batch.table("findings"), Places(regions)))
        return out
