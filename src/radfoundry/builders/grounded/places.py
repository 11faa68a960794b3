"""Abnormality and location: what is wrong in a region, and where a finding lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from radfoundry.builders.grounded.asking import Asker, is_disorder
from radfoundry.builders.grounded.nodes import drawn, finest
from radfoundry.grounding.statements import Statement, home_of, overlap, within
from radfoundry.records import Sample

__all__ = ["ask_abnormality", "ask_location"]


@dataclass(frozen=True)
class _Region:
    """A region that the report speaks of: what is wrong in it, or the denials that show that nothing is."""

    name: str
    wrong: tuple[Statement, ...]
    denied: tuple[Statement, ...]

    @property
    def concepts(self) -> list[str]:
        """What is wrong, in the order of the report, each once."""
        return list(dict.fromkeys(s.concept for s in self.wrong))

    @property
    def evidence(self) -> list[str]:
        """Ids of what makes the answer true."""
        return list(dict.fromkeys(e for s in self.wrong or self.denied[:4] for e in s.evidence))

    @property
    def region_ids(self) -> list[str]:
        """The masks that the statements lead to."""
        return list(dict.fromkeys(r for s in self.wrong for r in s.region_ids))


def ask_abnormality(ask: Asker) -> Iterator[Sample]:
    """Yield what is abnormal in each region, openly, closed, and as a choice between regions.

    One question a region, as RadGenome's table has one row a region: the findings of the region and of everything in it, or none where
    findings are denied in it. A region that is merely called normal is not asked about.
    """
    regions = _regions(ask)
    sound = [r.name for r in regions if not r.wrong]
    for region in regions:
        values = {"region": region.name, "concepts": ", ".join(region.concepts) or "nothing abnormal"}
        yield ask.ask("abnormality", "open", values, region.evidence, region.region_ids)
        yield ask.closed(
            "abnormality", "closed", values, bool(region.wrong), region.evidence, region.region_ids,
            about=f"the {region.name}",
        )  # fmt: skip
        if region.wrong:
            others = drawn([s for s in sound if not overlap(s, region.name)], f"{ask.key}|{region.name}")
            yield from ask.choice("abnormality", "choice", {}, region.name, others, region.evidence, region.region_ids)


def _regions(ask: Asker) -> list[_Region]:
    statements = [s for s in ask.told.statements if is_disorder(s.concept)]
    names = sorted({p for s in statements for p in (*s.places, home_of(s.concept)) if p})
    found = []
    for name in names:
        inside = [s for s in statements if any(overlap(p, name) for p in s.places or (home_of(s.concept) or name,))]
        affirmed = [s for s in inside if s.finding.presence != "absent"]
        wrong = [s for s in affirmed if ask.nodes.is_clear(s) and s.places and all(within(p, name) for p in s.places)]
        denied = [
            s for s in inside
            if s.finding.presence == "absent" and ask.nodes.is_clear(s) and any(within(p, name) for p in s.places)
        ]  # fmt: skip
        # what is affirmed of a larger place, doubted, or contradicted leaves the answer open
        if len(wrong) == len(affirmed) and (wrong or denied):
            found.append(_Region(name, tuple(wrong), tuple(denied)))
    return found


def ask_location(ask: Asker) -> Iterator[Sample]:
    """Yield where a concept lies that the report affirms in one place alone, if its name does not tell: emphysema is in the lung."""
    for concept in sorted({s.concept for s in ask.nodes.present}):
        said = [s for s in ask.nodes.present if s.concept == concept]
        places = finest([p for s in said for p in s.places])
        if len(places) != 1 or any(not s.places for s in said) or within(home_of(concept), places[0]):
            continue
        one = next(s for s in said if places[0] in s.places)
        yield from _where(ask, concept, places[0], one)


def _where(ask: Asker, concept: str, place: str, one: Statement) -> Iterator[Sample]:
    yield ask.ask("location", "open", {"concept": concept, "region": place}, one.evidence, one.region_ids)
    beside = [p for p in ask.nodes.siblings(place) if ask.nodes.is_free(concept, p)]
    if beside:
        # yes and no of each pair of places come equally often, so that neither the place nor the finding tells the answer
        for where in (place, drawn(beside, f"{ask.key}|{concept}")[0]):
            yield ask.closed(
                "location", "closed", {"concept": concept, "region": where}, where == place, one.evidence,
                one.region_ids if where == place else (), about=f"{concept} in the {where}",
            )  # fmt: skip
    yield from ask.choice(
        "location", "choice", {"concept": concept}, place, _far(ask, place), one.evidence, one.region_ids
    )


def _far(ask: Asker, place: str) -> list[str]:
    """Other places to choose from: beside the right one first, then any that the report names."""
    named = [p for s in ask.told.statements for p in s.places if not overlap(p, place)]
    near = drawn(ask.nodes.siblings(place), f"{ask.key}|{place}")
    return near + drawn(dict.fromkeys(named), f"{ask.key}|{place}")
