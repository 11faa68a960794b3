"""Disorders: what the impression concludes, of the whole study."""

from __future__ import annotations

from collections.abc import Iterator

from radfoundry.builders.grounded.asking import Asker, is_disorder
from radfoundry.builders.grounded.nodes import drawn
from radfoundry.records import Sample

__all__ = ["ask_disorders"]


def ask_disorders(ask: Asker) -> Iterator[Sample]:
    """Yield what the impression affirms, or that there is nothing where the whole report affirms nothing."""
    statements = [s for s in ask.told.statements if is_disorder(s.concept)]
    concluded = [s for s in statements if s.sentence.section == "impression"]
    doubted = [s for s in concluded if s.finding.presence == "uncertain"]
    affirmed = [s for s in concluded if s.finding.presence == "present"]
    if doubted or not all(ask.nodes.is_clear(s) for s in affirmed):
        return
    names = list(dict.fromkeys(s.concept for s in affirmed))
    evidence = list(dict.fromkeys(e for s in affirmed for e in s.evidence))
    region_ids = list(dict.fromkeys(r for s in affirmed for r in s.region_ids))
    if names:
        yield ask.ask("disorder", "open", {"concepts": ", ".join(names)}, evidence, region_ids)
        yield from _choice(ask, names, evidence, region_ids)
    elif _nothing(ask) and any(s.section == "impression" for s in ask.told.sentences):
        evidence = [e for s in ask.nodes.absent[:4] for e in s.evidence]
        if evidence:
            yield ask.ask("disorder", "open", {"concepts": "no disorder"}, list(dict.fromkeys(evidence)))


def _nothing(ask: Asker) -> bool:
    return all(s.finding.presence == "absent" for s in ask.told.statements if is_disorder(s.concept))


def _choice(ask: Asker, names: list[str], evidence: list[str], region_ids: list[str]) -> Iterator[Sample]:
    denied = sorted({s.concept for s in ask.nodes.absent if ask.nodes.is_nowhere(s.concept)} - set(names))
    wrong = [*drawn(denied, f"{ask.key}|disorder"), *(s.concept for s in ask.nodes.silent)]
    right = drawn(names, f"{ask.key}|disorder")[0]
    yield from ask.choice("disorder", "choice", {}, right, wrong, evidence, region_ids)
