"""What a report states: findings with the places that their sentences name, and when two statements contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from radfoundry import anatomy
from radfoundry.language import concepts
from radfoundry.records import Finding, Link, Sentence

__all__ = ["STATING", "Statement", "clash", "home_of", "overlap", "statements_of", "within"]

# what was asked and how it was done states nothing of this study
STATING = ("findings", "impression")
_SIDES = frozenset({"left", "right"})


@dataclass(frozen=True)
class Statement:
    """A finding, its sentence, the links that carry it, and the places where it holds (none where the sentence leaves that open)."""

    finding: Finding
    sentence: Sentence
    links: tuple[Link, ...]
    places: tuple[str, ...]

    @property
    def concept(self) -> str:
        """The finding's concept."""
        return self.finding.concept

    @property
    def evidence(self) -> list[str]:
        """Ids of the finding and of the links that carry it."""
        return [self.finding.finding_id, *(link.link_id for link in self.links)]

    @property
    def region_ids(self) -> list[str]:
        """Ids of the regions that the links lead to, each once."""
        return list(dict.fromkeys(link.region_id for link in self.links if link.region_id))


def statements_of(
    sentences: Sequence[Sentence], links: Mapping[str, Sequence[Link]], findings: Mapping[str, Sequence[Finding]]
) -> tuple[Statement, ...]:
    """Return what a report's sentences state of this study; links and findings are by sentence.

    Only findings and impression state; what is said of an earlier examination alone states nothing of this one.
    """
    return tuple(
        _statement(finding, sentence, links.get(sentence.sentence_id, ()), findings[sentence.sentence_id])
        for sentence in sentences
        if sentence.section in STATING and sentence.sentence_id in findings
        for finding in findings[sentence.sentence_id]
        if finding.temporal != "past"
    )


def _statement(finding: Finding, sentence: Sentence, links: Iterable[Link], beside: Sequence[Finding]) -> Statement:
    mine = tuple(link for link in links if link.finding_id in (None, finding.finding_id))
    named = tuple(dict.fromkeys(link.name for link in mine if link.finding_id is None))
    places = _places(finding, named, beside)
    kept = tuple(link for link in mine if link.finding_id is not None or not places or link.name in places)
    return Statement(finding, sentence, kept, places)


def _places(finding: Finding, named: tuple[str, ...], beside: Sequence[Finding]) -> tuple[str, ...]:
    """The named regions that a finding can mean: those of its organ and side, all of them if the sentence states it alone.

    Two present findings of one organ in a sentence with several places cannot be told apart: no place is better than a wrong one.
    """
    home = home_of(finding.concept)
    near = tuple(name for name in named if home and overlap(name, home)) or named
    if finding.side in _SIDES:
        near = tuple(name for name in near if _side(name) in (finding.side, "none", "bilateral", "midline")) or near
    rivals = [f for f in beside if f.presence != "absent" and f.finding_id != finding.finding_id]
    rivals = [f for f in rivals if not home or not home_of(f.concept) or overlap(home_of(f.concept), home)]
    return near if len(near) <= 1 or finding.presence == "absent" or not rivals else ()


def home_of(concept: str) -> str:
    """Return the region where a concept lives when the text is silent, "" where it may be anywhere."""
    known = concepts().get(concept)
    return known.region if known else ""


def _side(name: str) -> str:
    return anatomy.side_of(name) if anatomy.is_known(name) else "none"


@lru_cache(maxsize=65536)
def within(name: str, whole: str) -> bool:
    """Say whether a place is another one, a part or a kind of it."""
    if name == whole or not (anatomy.is_known(name) and anatomy.is_known(whole)):
        return name == whole
    return anatomy.is_a(name, whole)


def overlap(one: str, other: str) -> bool:
    """Say whether one of two places holds the other."""
    return within(one, other) or within(other, one)


def clash(one: Statement, other: Statement) -> bool:
    """Say whether two statements of one concept differ in presence at places that overlap; a place left open is everywhere."""
    if one.finding.presence == other.finding.presence:
        return False
    return not one.places or not other.places or any(overlap(p, q) for p in one.places for q in other.places)
