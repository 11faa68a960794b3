"""M3D's questions that a report answers: image-text pairs, abnormality types and positions, open and with options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radfoundry import anatomy
from radfoundry.builders.grounded.nodes import Nodes
from radfoundry.builders.grounded.statements import STATING, Statement, Told, home_of, overlap, told_of, within
from radfoundry.builders.m3d_choices import offered, ranked
from radfoundry.builders.samples import SampleMaker, studies_of
from radfoundry.grounding.names import same_thing
from radfoundry.ids import normalised_text
from radfoundry.language import concepts
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Sample

__all__ = ["AskFindings"]

_SIDES = ("left", "right", "bilateral")


@dataclass(frozen=True)
class AskFindings:
    """One report pair a study, one open question about what is abnormal, and up to `per_study` of each other kind.

    Wrong options are findings that the report denies, and places beside the right one for which it does not state the finding.
    """

    per_study: int = 3
    name: str = "ask-m3d-findings"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "images", "regions", "reports", "sentences", "findings", "links")
    fills: tuple[str, ...] = ("samples",)

    @property
    def settings(self) -> Mapping[str, Any]:
        """How many questions of a kind a study gives."""
        return {"per_study": self.per_study}

    def run(self, batch: Batch) -> Batch:
        """Return the samples of every study that has images and a report."""
        out = Batch()
        made_by = signature(self, "templates")
        for rows in studies_of(batch):
            told = told_of(batch, rows)
            if rows.images and told.sentences:
                maker = SampleMaker(rows.study, made_by)
                out.add("samples", *_pair(maker, told))
                out.add("samples", *_abnormalities(maker, Nodes(told), self.per_study))
                out.add("samples", *_positions(maker, Nodes(told), self.per_study))
        return out


def _pair(maker: SampleMaker, told: Told) -> Iterator[Sample]:
    """Pair the images with all that the report says of them: findings and what follows."""
    said = [s for s in told.sentences if s.section in STATING]
    if said:
        text = normalised_text(" ".join(s.text for s in said))
        yield maker.ask("report", "findings", told.image_ids, {"text": text}, [s.sentence_id for s in said])


def _abnormalities(maker: SampleMaker, nodes: Nodes, most: int) -> Iterator[Sample]:
    """Ask what is abnormal: openly for all of it, and for one finding among denied ones."""
    images, present = nodes.told.image_ids, _by_concept(nodes.present)
    denied = {name: said for name in _denied(nodes) if (said := nodes.is_nowhere(name)) is not None}
    doubted = any(s.finding.presence == "uncertain" for s in nodes.told.statements)
    if present:
        evidence = [i for said in present.values() for s in said for i in s.evidence]
        yield maker.ask("abnormality", "study", images, {"concepts": ", ".join(present)}, list(dict.fromkeys(evidence)))
    elif denied and not doubted:
        evidence = [s.finding.finding_id for s in denied.values()]
        yield maker.ask("abnormality", "study-none", images, {}, evidence)
    for concept in ranked(nodes.told.rows.study.study_id, present)[:most]:
        wrong = [name for name in denied if not _alike(name, concept)]
        if wrong:
            options = offered(f"{maker.study.study_id}|{concept}", concept, wrong)
            shown = [denied[name].finding.finding_id for name in wrong if name[:1].upper() + name[1:] in options]
            evidence = list(dict.fromkeys([*(i for s in present[concept] for i in s.evidence), *shown]))
            values = {"concept": concept}
            yield maker.ask(
                "abnormality", "study-choice", images, values, evidence, answer_kind="choice", choices=options
            )  # fmt: skip


def _by_concept(statements: Sequence[Statement]) -> dict[str, list[Statement]]:
    """Group what is ill by concept, in the order in which it is first stated."""
    grouped: dict[str, list[Statement]] = {}
    for statement in statements:
        if concepts()[statement.concept].kind == "abnormality":
            grouped.setdefault(statement.concept, []).append(statement)
    return grouped


def _denied(nodes: Nodes) -> list[str]:
    """Return concepts that the report denies and that have an organ of their own: "no mass" alone says too little."""
    names = dict.fromkeys(s.concept for s in nodes.absent)
    return [n for n in names if home_of(n) and concepts()[n].kind == "abnormality"]


def _alike(one: str, other: str) -> bool:
    return same_thing(one, other) or same_thing(other, one)


def _positions(maker: SampleMaker, nodes: Nodes, most: int) -> Iterator[Sample]:
    """Ask where and on which side a finding is, if all that the report affirms of it is in one place."""
    images = nodes.told.image_ids
    grouped = _by_concept(nodes.present)
    for concept in ranked(f"place|{maker.study.study_id}", grouped)[:most]:
        said = grouped[concept]
        evidence = list(dict.fromkeys(i for s in said for i in s.evidence))
        regions = list(dict.fromkeys(i for s in said for i in s.region_ids))
        side = _side(said)
        if side:
            options = tuple(word[:1].upper() + word[1:] for word in ("left", "right", "both sides"))
            answer = {"bilateral": "both sides"}.get(side, side)
            values = {"concept": concept, "side": answer}
            yield maker.ask(
                "location", "side", images, values, evidence, answer_kind="choice", choices=options, region_ids=regions
            )
        place = _place(said)
        if not place:
            continue
        values = {"concept": concept, "region": place}
        yield maker.ask("location", "open", images, values, evidence, region_ids=regions)
        wrong = _elsewhere(nodes, concept, place)
        if wrong:
            options = offered(f"{maker.study.study_id}|{concept}|{place}", place, wrong, likely=_mirrored(place))
            yield maker.ask(
                "location",
                "place-choice",
                images,
                values,
                evidence,
                answer_kind="choice",
                choices=options,
                region_ids=regions,
            )


def _side(said: Sequence[Statement]) -> str:
    """Return the one side on which all statements put a finding, "" where they name none or two."""
    sides = {s.finding.side for s in said} - {"none"}
    (only,) = sides if len(sides) == 1 else ("",)
    return only if only in _SIDES else ""


def _place(said: Sequence[Statement]) -> str:
    """Return the one place of all statements that name any; "" where it only repeats the organ that the finding's name implies."""
    places = {p for s in said for p in s.places}
    (only,) = places if len(places) == 1 else ("",)
    return only if only and not within(home_of(said[0].concept), only) else ""


def _elsewhere(nodes: Nodes, concept: str, place: str) -> list[str]:
    """Return places of the same kind beside the right one, none of which the report affirms or doubts for the concept."""
    if not anatomy.is_known(place):
        return []
    here = anatomy.region(place)
    near = [r.name for parent in here.parents for r in anatomy.children(parent)]
    beside = dict.fromkeys([*_mirrored(place), *nodes.siblings(place), *near])
    kin = [n for n in beside if anatomy.is_structure(n) and anatomy.region(n).kind == here.kind]
    sided = [n for n in kin if (anatomy.side_of(n) in ("left", "right")) == (here.side in ("left", "right"))]
    taken = [p for s in nodes.of(concept) if s.finding.presence != "absent" for p in s.places]
    return [n for n in sided if not overlap(n, place) and not any(overlap(n, p) for p in taken)]


def _mirrored(place: str) -> list[str]:
    other = anatomy.mirror(place)
    return [other.name] if other is not None and other.name != place else []
