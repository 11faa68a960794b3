"""What holds where: each concept at each place said one way only; what a report affirms and denies is left out of both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from radfoundry import anatomy
from radfoundry.builders.grounded.statements import Told
from radfoundry.grounding.names import same_thing
from radfoundry.grounding.statements import STATING, Statement, clash, home_of, overlap, within
from radfoundry.language import concepts
from radfoundry.records import Link, Region

__all__ = ["Nodes", "Silence", "drawn", "finest"]

T = TypeVar("T")

# a report of fewer sentences is taken for an excerpt, whose silence says nothing
WHOLE_REPORT = 4


@dataclass(frozen=True)
class Silence:
    """A concept that a whole report leaves out although it describes the organ and finds nothing in it; the sentences that show so."""

    concept: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Nodes:
    """The nodes of one report: (concept, place) pairs, present upwards (a nodule in a lobe is one in the lung), absent downwards."""

    told: Told

    @cached_property
    def present(self) -> list[Statement]:
        """Statements that affirm, where nothing denies or doubts the same concept at a place that overlaps."""
        return self._clear("present")

    @cached_property
    def absent(self) -> list[Statement]:
        """Statements that deny, where nothing affirms or doubts the same concept at a place that overlaps."""
        return self._clear("absent")

    def is_clear(self, statement: Statement) -> bool:
        """Say whether a statement is one of those that nothing contradicts."""
        return statement.finding.finding_id in self._clear_ids

    def of(self, concept: str) -> list[Statement]:
        """Return what is said about a concept or the same thing in other words ("mass", "lung mass"), what is said twice once."""
        return [s for name, said in self._said.items() if same_thing(concept, name) for s in said]

    @cached_property
    def _said(self) -> dict[str, list[Statement]]:
        """Concept -> its statements, one a presence, side and place: reports repeat themselves, some without end."""
        unlike: dict[str, dict[object, Statement]] = {}
        for s in self.told.statements:
            unlike.setdefault(s.concept, {}).setdefault((s.finding.presence, s.finding.side, s.places), s)
        return {concept: list(said.values()) for concept, said in unlike.items()}

    @cached_property
    def _clear_ids(self) -> frozenset[str]:
        return frozenset(s.finding.finding_id for s in (*self.present, *self.absent))

    def _clear(self, presence: str) -> list[Statement]:
        mine = [s for s in self.told.statements if s.finding.presence == presence and self._is_now(s)]
        others = {s.concept: self.of(s.concept) for s in mine}
        return [s for s in mine if not any(clash(s, other) for other in others[s.concept])]

    def _is_now(self, statement: Statement) -> bool:
        return statement.finding.presence == "absent" or statement.finding.temporal != "resolved"

    def is_nowhere(self, concept: str) -> Statement | None:
        """Return the statement that denies a concept in all of the organ where it lives; None where something speaks against it."""
        if any(s.finding.presence != "absent" for s in self.of(concept)) or self.lesions(concept):
            return None
        home = home_of(concept)
        return next((s for s in self.absent if s.concept == concept and home and _covers(s, home)), None)

    def is_free(self, concept: str, place: str) -> bool:
        """Say whether a report that tells all of a concept elsewhere leaves a place free of it.

        The place is one where the concept can be; every mention has a place, none overlaps, and no more lesions are drawn than are told.
        """
        said, home = self.of(concept), home_of(concept)
        told = sum(s.finding.presence == "present" for s in said)
        return (
            (not home or within(place, home))
            and all(s.places and s.finding.side != "bilateral" for s in said)
            and not any(overlap(p, place) for s in said for p in s.places)
            and len(self.lesions(concept)) <= max(told, 1)
        )

    def lesions(self, concept: str) -> list[Region]:
        """Return the drawn lesions of a concept."""
        return [r for r in self.told.regions if same_thing(concept, r.name)]

    @cached_property
    def silent(self) -> list[Silence]:
        """Return the concepts whose absence a whole report implies, in an order that only the study decides.

        The organ is described in the report and nothing in it is affirmed or doubted; the concept is mentioned nowhere, and no mask is
        drawn for it. RadGenome takes its negatives from denials alone; here each row says that it rests on silence.
        """
        if sum(s.section in STATING for s in self.told.sentences) < WHOLE_REPORT:
            return []
        names = [c.name for c in concepts().values() if c.region and c.kind == "abnormality" and not self.of(c.name)]
        names = [n for n in names if n not in self.told.mentioned and not self.lesions(n)]
        found = [Silence(n, tuple(self._described(home_of(n)))) for n in names if not self.is_ill(home_of(n))]
        return drawn([s for s in found if s.links], self.told.rows.study.study_id, lambda s: s.concept)

    def is_ill(self, place: str) -> bool:
        """Say whether anything is affirmed or doubted in a place, or at a place left open."""
        affirmed = [s for s in self.told.statements if s.finding.presence != "absent"]
        return any(overlap(p, place) for s in affirmed for p in (s.places or (home_of(s.concept) or place,)))

    def _described(self, place: str) -> list[Link]:
        links = (k for s in self.told.sentences if s.section in STATING for k in self.told.links.get(s.sentence_id, ()))
        return [k for k in links if k.rule != "carried" and within(place, k.name)][:4]

    def siblings(self, place: str) -> list[str]:
        """Return the places beside one: its mirror, and its neighbours in the organ that the study has masks of."""
        if not anatomy.is_known(place):
            return []
        other = anatomy.mirror(place)
        beside = [other.name] if other is not None and other.name != place else []
        above = set(anatomy.region(place).parents)
        masks = dict.fromkeys(r.name for r in self.told.regions if anatomy.is_structure(r.name))
        beside += [n for n in masks if above & set(anatomy.region(n).parents) and not overlap(n, place)]
        return list(dict.fromkeys(beside))

    def parts(self, place: str) -> list[str]:
        """Return a place, its halves, and what lies in it and has a mask in this study."""
        sides = [f"{side} {place}" for side in ("left", "right") if anatomy.is_known(f"{side} {place}")]
        masks = [r.name for r in self.told.regions if anatomy.is_structure(r.name) and within(r.name, place)]
        return list(dict.fromkeys([place, *sides, *masks]))


def drawn(things: Iterable[T], key: str, name: Callable[[T], str] = str) -> list[T]:
    """Return things in an order that depends on `key` and their names alone."""
    return sorted(things, key=lambda t: hashlib.blake2b(f"{key}|{name(t)}".encode(), digest_size=8).digest())


def _covers(statement: Statement, home: str) -> bool:
    """A denial that holds in all of a concept's organ."""
    one_sided = statement.finding.side in ("left", "right")
    return not one_sided and (not statement.places or any(within(home, place) for place in statement.places))


def finest(places: Sequence[str]) -> list[str]:
    """Return the places that hold none of the others."""
    unique = list(dict.fromkeys(places))
    return [p for p in unique if not any(q != p and within(q, p) for q in unique)]
