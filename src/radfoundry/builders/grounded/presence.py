"""Presence: is it there, in this place or anywhere; which of these is there."""

from __future__ import annotations

from collections.abc import Iterator

from radfoundry.builders.grounded.asking import Asker, with_article
from radfoundry.builders.grounded.nodes import drawn
from radfoundry.grounding.statements import Statement
from radfoundry.records import Sample

__all__ = ["ask_presence"]

# what a silent report is asked about, and the places that a denial is asked for: enough to stand against what is affirmed
SILENT, DENIED_PLACES = 4, 1


def ask_presence(ask: Asker) -> Iterator[Sample]:
    """Yield closed questions, affirmed and denied, and choices between what is there and what is not."""
    yield from _anywhere(ask)
    yield from _affirmed_places(ask)
    yield from _denied_places(ask)
    yield from _choices(ask)


def _anywhere(ask: Asker) -> Iterator[Sample]:
    nodes = ask.nodes
    for concept in _named(nodes.present):
        first = next(s for s in nodes.present if s.concept == concept)
        yield _closed(ask, concept, "", True, first)
    for concept in _named(nodes.absent):
        denial = nodes.is_nowhere(concept)
        if denial is not None:
            yield _closed(ask, concept, "", False, denial)
    for silence in nodes.silent[:SILENT]:
        evidence = [link.link_id for link in silence.links]
        values = {"concept": with_article(silence.concept)}
        about = f"{silence.concept} anywhere"
        yield ask.closed("presence", "anywhere", values, False, evidence, about=about, source="silent")


def _affirmed_places(ask: Asker) -> Iterator[Sample]:
    """Ask where it is, and beside it where it is not: the other side of a report that names one side is silent."""
    nodes = ask.nodes
    for concept in _named(nodes.present):
        said = [s for s in nodes.present if s.concept == concept]
        where = {place: s for s in reversed(said) for place in s.places if len(s.places) <= 2}
        for place, statement in sorted(where.items()):
            yield _closed(ask, concept, place, True, statement)
        free = dict.fromkeys(p for place in sorted(where) for p in nodes.siblings(place) if nodes.is_free(concept, p))
        for other in drawn(free, f"{ask.key}|{concept}")[:1]:
            yield _closed(ask, concept, other, False, said[0], "silent")


def _denied_places(ask: Asker) -> Iterator[Sample]:
    """Ask for what is denied in the place that the report names, and in parts of it: no nodule in the lungs, none in a lobe."""
    nodes = ask.nodes
    for concept in _named(nodes.absent):
        denials = [s for s in nodes.absent if s.concept == concept and s.places]
        if not denials or nodes.lesions(concept):
            continue
        first = denials[0]
        parts = [part for place in first.places for part in nodes.parts(place)]
        for place in drawn(dict.fromkeys(parts), f"{ask.key}|{concept}")[:DENIED_PLACES]:
            yield _closed(ask, concept, place, False, first)


def _closed(ask: Asker, concept: str, place: str, yes: bool, statement: Statement, source: str = "stated") -> Sample:
    form = "in-place" if place else "anywhere"
    return ask.closed(
        "presence",
        form,
        {"concept": with_article(concept), "region": place},
        yes,
        statement.evidence,
        statement.region_ids if yes else (),
        about=f"{concept} in the {place}" if place else f"{concept} anywhere",
        source=source,
    )


def _choices(ask: Asker) -> Iterator[Sample]:
    """Ask which of these the study shows: one that it does, beside others that it does not."""
    nodes = ask.nodes
    denied = [c for c in _named(nodes.absent) if nodes.is_nowhere(c) is not None]
    silent = [silence.concept for silence in nodes.silent[:SILENT]]
    for concept in _named(nodes.present):
        first = next(s for s in nodes.present if s.concept == concept)
        # what reports deny first: a choice among things that no report ever speaks of is none
        others = drawn(denied, f"{ask.key}|{concept}") + silent
        yield from ask.choice("presence", "choice", {}, concept, others, first.evidence, first.region_ids)


def _named(statements: list[Statement]) -> list[str]:
    return sorted({s.concept for s in statements})
