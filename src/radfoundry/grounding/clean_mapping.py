"""The `clean` mapping: the finest anatomical region with its side, from what the text names and what findings imply."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from radfoundry.geometry import Side
from radfoundry.grounding.mention import RegionMention
from radfoundry.language.concepts import DENIED, concepts
from radfoundry.language.findings import REMEMBERED
from radfoundry.language.matching import Lexicon, Match, read_table
from radfoundry.language.places import Region, region
from radfoundry.language.reading import Reading, reading_lexicon

__all__ = ["CleanMapping"]

_CONFIDENCE = {"name": 0.95, "part": 0.85, "implied": 0.8, "bound": 0.8, "loose": 0.8, "container": 0.6, "carried": 0.5}
_FILLERS = (
    r"lungs?|parenchyma|hemithora\w+|the|of|in|at|on|side|sided|main|upper|lower|middle|superior|inferior|lobes?|anterior|"
    r"posterior|lateral|medial|apical|basal|segments?|level|areas?|regions?|parts?|and|both|thoracic|chest|wall|"
    r"posterobasal|laterobasal|anterolateral|posterolateral|central|peripheral|proximal|distal|internal|external|"
    r"\d+(?:st|nd|rd|th)?|gland|lobus|breast|dimensions|deep|subpleural|minor|major|minimal|mild"
)
_FILLED = re.compile(rf"(?:[\s,(]+(?:{_FILLERS})(?!\w))*[\s,(]*")
_COORDINATED = re.compile(r",|\band\b|\bor\b")
_JOINTS = (", and ", "; ", ", ", " and it ")
_SHORTEST_STATEMENT = 40
_OF = re.compile(rf"\s*(?:{_FILLERS})?\s*(?:segments?|areas?|levels?)?\s*(?:of|in|on|at)\s(?:the\s)?$")


class _Candidate(NamedTuple):
    region: Region
    side: Side
    role: str
    start: int
    end: int


class CleanMapping:
    """Stateless between reports; `folders` hold a user's own terms."""

    def __init__(self, folders: tuple[Path, ...] = ()) -> None:
        self._lexicon = reading_lexicon(folders)
        self._link_one = lru_cache(REMEMBERED)(self._read_and_link)

    def link(self, sentences: Sequence[str]) -> list[tuple[RegionMention, ...]]:
        """Mentions a sentence; one without a region of its own takes those of the nearest sentence before it."""
        linked: list[tuple[RegionMention, ...]] = []
        before: tuple[RegionMention, ...] = ()
        for sentence in sentences:
            own, stands_alone = self._link_one(sentence)
            if own:
                before = own
            elif not stands_alone:
                own = tuple(_carried(mention) for mention in before)
            linked.append(own)
        return linked

    def _read_and_link(self, sentence: str) -> tuple[tuple[RegionMention, ...], bool]:
        """The mentions of a sentence, and whether it is complete without one (advice, history, a general remark)."""
        reading = Reading(sentence, self._lexicon)
        cues = _cues().find(reading.folded)
        stated = _without_advice(sentence, cues)
        if not stated:
            return (), True
        if stated != sentence:
            reading = Reading(stated, self._lexicon)
        found = _without_containers(_without_rivals(list(_candidates(reading))))
        kept = _without_ancestors(reading.folded, list(_one_side_each(found)))
        return tuple(_mentions(stated, kept)), any(cue.value != "advice" for cue in cues)


def _without_advice(sentence: str, cues: list[Match[str]]) -> str:
    """What a sentence says before it advises ("..., and control is recommended"); nothing if it only advises."""
    advice = next((cue for cue in cues if cue.value == "advice"), None)
    if advice is None:
        return sentence
    cut = max(sentence.rfind(joint, 0, advice.start) for joint in _JOINTS)
    return sentence[:cut] if cut > _SHORTEST_STATEMENT else ""


@cache
def _cues() -> Lexicon[str]:
    return Lexicon((row["term"], row["kind"]) for row in read_table("linker_cues.tsv"))


def _carried(mention: RegionMention) -> RegionMention:
    return mention._replace(rule="carried", confidence=_CONFIDENCE["carried"], start=0, end=0)


def _candidates(reading: Reading) -> Iterator[_Candidate]:
    """What the text names, then what its findings imply."""
    own = {place.start for place in reading.own_places}
    for place in reading.places:
        role = place.value.role if place.start in own else "container"
        for named in place.value.regions:
            yield _Candidate(named, _side_of(named, place, reading), role, place.start, place.end)
    for term in reading.terms:
        for concept in (concepts()[name.removeprefix(DENIED)] for name in reading.meant(term)):
            if concept.region:
                implied = region(concept.region)
                yield _Candidate(implied, _side_of(implied, term, reading), concept.bound, term.start, term.end)


def _side_of(region: Region, match: Match, reading: Reading) -> Side:
    """The side of a region term: "of the right", then "right lower lobe", then "on the right", then the clause's."""
    if not region.is_pair:
        return "none" if region.side == "bilateral" else region.side
    folded, sides = reading.folded, reading.sides
    if not sides:
        return "none"
    inner = next((side for side in sides if match.start <= side.start < match.end), None)
    after = next((side for side in sides if side.start >= match.end), None)
    before = next((side for side in reversed(sides) if side.end <= match.start), None)
    if inner:
        return inner.value
    if after and _OF.fullmatch(folded, match.end, after.start):
        return after.value
    if before and _FILLED.fullmatch(folded, before.end, match.start):
        return before.value
    if after and _FILLED.fullmatch(folded, match.end, after.start):
        return after.value
    return reading.clause_side(match.start)


def _without_rivals(found: list[_Candidate]) -> list[_Candidate]:
    """Drop what a finding would imply where the text names another place, and lungs that only say where a pleura is."""
    heads = {c.region.head for c in found if c.role in ("name", "part")}
    bound_heads = {c.region.head for c in found if c.role == "bound"}
    told_heads = {c.region.head for c in found if c.role in ("bound", "loose")}
    kept = []
    for candidate in found:
        if candidate.role == "loose" and heads:
            continue
        if candidate.role == "bound" and candidate.region.head in heads:
            continue
        if candidate.role != "bound" and "pleura" in heads | bound_heads:
            if candidate.region.name == "lung" and "lung" not in bound_heads:
                continue
            # "apical pneumothorax": a part of the lung that stands for a part of the pleura
            if candidate.region.head == "lung" and candidate.role == "part" and "lung" not in told_heads:
                continue
        kept.append(candidate)
    return kept


def _without_containers(found: list[_Candidate]) -> list[_Candidate]:
    """Drop what only says where to look; the window of the examination goes first."""
    others = [c for c in found if c.role != "container"]
    return others or [c for c in found if c.region.name != "lung"] or found


def _one_side_each(found: list[_Candidate]) -> Iterator[_Candidate]:
    for candidate in found:
        if candidate.side == "bilateral" and candidate.region.is_pair:
            yield candidate._replace(side="left")
            yield candidate._replace(side="right")
        else:
            yield candidate


def _without_ancestors(folded: str, found: list[_Candidate]) -> list[_Candidate]:
    """Keep the finest: "upper lobe of the right lung" is the lobe alone."""
    return [c for c in found if not any(_is_finer(other, c, folded) for other in found)]


def _is_finer(one: _Candidate, than: _Candidate, folded: str) -> bool:
    if than.region.name not in one.region.ancestors:
        return False
    if than.side not in ("none", one.side) and one.side != "none":
        return False
    between = folded[min(one.end, than.end) : max(one.start, than.start)]
    return (
        than.region.name in ("lung", "abdomen") or than.role not in ("name", "part") or not _COORDINATED.search(between)
    )


def _mentions(sentence: str, kept: list[_Candidate]) -> Iterator[RegionMention]:
    """One mention a name, in reading order; the surest reason is the one that is told."""
    best: dict[str, _Candidate] = {}
    for candidate in sorted(kept, key=lambda c: (c.start, c.end)):
        name = candidate.region.on(candidate.side)
        if name not in best or _CONFIDENCE[best[name].role] < _CONFIDENCE[candidate.role]:
            best[name] = candidate
    for name, candidate in best.items():
        rule = "implied" if candidate.role in ("bound", "loose") else candidate.role
        term = sentence[candidate.start : candidate.end]
        yield RegionMention(name, candidate.side, (term,), rule, _CONFIDENCE[rule], candidate.start, candidate.end)
