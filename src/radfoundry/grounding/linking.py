"""From a sentence's regions to places in an image: a link to a mask, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from radfoundry import anatomy
from radfoundry.geometry import Side
from radfoundry.grounding.linker import RegionMention
from radfoundry.grounding.names import same_thing
from radfoundry.ids import make_id
from radfoundry.records import Finding, Link, Region, Sentence

__all__ = ["Places", "link_finding", "link_mention", "link_sentences"]

# what a statement about a thing shares with a mask that was drawn for it
_COARSER, _PARTS = 0.5, 0.9


@dataclass(frozen=True)
class Places:
    """The regions of one study's images, by name."""

    regions: tuple[Region, ...]

    def named(self, name: str, side: Side = "none") -> list[Region]:
        """Return the regions of a name, those of the other side left out."""
        return [r for r in self.regions if r.name == name and _agree(side, r.side)]

    def lesions(self, concept: str, side: Side = "none") -> list[Region]:
        """Return the regions that are an instance of a finding's concept, those of the other side left out."""
        return [r for r in self.regions if same_thing(concept, r.name) and _agree(side, r.side)]

    def inside(self, names: Iterable[str], side: Side = "none") -> list[Region]:
        """Return the regions of any of several names."""
        wanted = set(names)
        return [r for r in self.regions if r.name in wanted and _agree(side, r.side)]


def _agree(wanted: Side, found: Side) -> bool:
    return {wanted, found} != {"left", "right"}


def link_mention(sentence: Sentence, mention: RegionMention, places: Places) -> list[Link]:
    """Return a link to each mask of the mentioned region: its own, else its parts', else the nearest larger one's.

    Without any, one link that says why it is not groundable.
    """
    regions, how, sure = _find(mention.name, mention.side, places)
    if not regions:
        reason = "the study's images have no masks" if not places.regions else f"no mask of {mention.name}"
        return [_link(sentence, None, mention, None, reason, mention.rule, mention.confidence)]
    return [_link(sentence, None, mention, region, how, mention.rule, mention.confidence * sure) for region in regions]


def link_finding(sentence: Sentence, finding: Finding, places: Places) -> list[Link]:
    """Return a link from a present finding to each lesion mask of its concept and side."""
    if finding.presence != "present":
        return []
    lesions = places.lesions(finding.concept, finding.side)
    mention = RegionMention(
        finding.concept,
        finding.side,
        (sentence.text[finding.start : finding.end],),
        "finding",
        1.0,
        finding.start,
        finding.end,
    )
    return [_link(sentence, finding.finding_id, mention, lesion, "same concept", "finding", 1.0) for lesion in lesions]


def _find(name: str, side: Side, places: Places) -> tuple[list[Region], str, float]:
    own = places.named(name, side)
    if own:
        return own, "its own mask", 1.0
    if not anatomy.is_known(name):
        return [], "", 0.0
    below = places.inside((part.name for part in anatomy.descendants(name) if anatomy.is_structure(part)), side)
    if below:
        return below, f"masks of parts of {name}", _PARTS
    for whole in anatomy.ancestors(name):
        above = places.named(whole.name, side)
        if above:
            return above, f"the mask of {whole.name}, which holds {name}", _COARSER
    return [], "", 0.0


def _link(
    sentence: Sentence,
    finding_id: str | None,
    mention: RegionMention,
    region: Region | None,
    reason: str,
    rule: str,
    confidence: float,
) -> Link:
    target = region.region_id if region else ""
    return Link(
        link_id=make_id("link", sentence.sentence_id, finding_id or "", mention.name, mention.side, target),
        sentence_id=sentence.sentence_id,
        finding_id=finding_id,
        image_id=region.image_id if region else None,
        name=mention.name,
        side=mention.side,
        region_id=region.region_id if region else None,
        groundable=region is not None,
        reason=reason,
        terms=tuple(mention.terms),
        rule=rule,
        confidence=round(confidence, 4),
    )


def link_sentences(
    sentences: Sequence[Sentence],
    mentions: Sequence[Sequence[RegionMention]],
    findings: Sequence[Finding],
    places: Places,
) -> list[Link]:
    """Return every link of a report's sentences, in reading order."""
    by_sentence: dict[str, list[Finding]] = {}
    for finding in findings:
        by_sentence.setdefault(finding.sentence_id, []).append(finding)
    links: list[Link] = []
    for sentence, named in zip(sentences, mentions, strict=True):
        for mention in named:
            links += link_mention(sentence, mention, places)
        for finding in by_sentence.get(sentence.sentence_id, []):
            links += link_finding(sentence, finding, places)
    return links
