"""Text against masks: does what a report says of side, presence and size agree with what is drawn in the study's images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from radfoundry import anatomy
from radfoundry.geometry import Side
from radfoundry.grounding.names import same_thing
from radfoundry.grounding.statements import Statement
from radfoundry.records import Image, Link, Region

__all__ = ["Check", "Verdict", "check_study"]

Check = Literal["side", "presence", "size", "sides of masks", "volume of a mask"]

# readers differ by a fifth, and a box is drawn to whole voxels
_LEAST, _MOST = 0.6, 1.25
_COMPACT = 0.4  # of the box; a ball fills 0.52


class Verdict(NamedTuple):
    """One check of a link: what the text says and what the masks show. finding_id is "" for a check of the masks that a link leads to."""

    check: Check
    agrees: bool
    finding_id: str
    link_ids: tuple[str, ...]
    region_ids: tuple[str, ...]
    said: str
    seen: str


def check_study(
    statements: Sequence[Statement], links: Iterable[Link], regions: Sequence[Region], images: Mapping[str, Image]
) -> list[Verdict]:
    """Return a verdict for everything of one study that can be compared; what has no mask of its kind has no verdict.

    side: a finding said to be on one side, whose drawn lesions lie on the other. presence: a finding denied where one is drawn. size:
    a length that is not between the shortest and the longest extent of any drawn lesion of the finding. sides of masks: a left
    structure that lies to the right of its partner. volume of a mask: a whole structure larger or smaller than any adult's.
    """
    found = [v for s in statements for v in _statement(s, statements, regions, images)]
    return found + list(_masks(list(links), regions, images))


def _statement(
    statement: Statement, statements: Sequence[Statement], regions: Sequence[Region], images: Mapping[str, Image]
) -> Iterator[Verdict]:
    lesions = [r for r in regions if same_thing(statement.concept, r.name)]
    if not lesions or statement.finding.presence == "uncertain" or statement.finding.temporal == "resolved":
        return
    if statement.finding.presence == "absent":
        yield from _denied(statement, statements, lesions)
        return
    yield _verdict("presence", True, statement, lesions, "present", f"{len(lesions)} drawn")
    yield from _side(statement, lesions)
    yield from _size(statement, lesions, images)


def _denied(statement: Statement, statements: Sequence[Statement], lesions: list[Region]) -> Iterator[Verdict]:
    """A denial against what is drawn: of a place or side only against lesions that are there, and not where another sentence affirms."""
    side = said_side(statement)
    there = [r for r in lesions if side == "none" or r.side == side]
    affirmed = any(same_thing(statement.concept, s.concept) and s.finding.presence != "absent" for s in statements)
    if there and not affirmed:
        yield _verdict("presence", False, statement, there, "absent", f"{len(there)} drawn")


def said_side(statement: Statement) -> Side:
    """Return the one side that a statement names by itself or by its only place."""
    if statement.finding.side in ("left", "right"):
        return statement.finding.side
    sides = {anatomy.side_of(p) for p in statement.places if anatomy.is_known(p)}
    return next((side for side in sides if side in ("left", "right")), "none") if len(sides) == 1 else "none"


def _side(statement: Statement, lesions: list[Region]) -> Iterator[Verdict]:
    said = said_side(statement)
    seen = {r.side for r in lesions}
    if said in ("left", "right") and seen & {"left", "right"}:
        agrees = bool(seen & {said, "bilateral", "midline", "none"})
        yield _verdict("side", agrees, statement, lesions, said, ", ".join(sorted(seen)))


def _size(statement: Statement, lesions: list[Region], images: Mapping[str, Image]) -> Iterator[Verdict]:
    sizes = [max(m.values_mm) for m in statement.finding.measurements]
    ranges = [_extents_mm(r, images[r.image_id]) for r in lesions if images[r.image_id].grid_unit == "mm"]
    if not sizes or not ranges:
        return
    agrees = all(any(low <= size <= high for low, high in ranges) for size in sizes)
    said = ", ".join(f"{size:g} mm" for size in sizes)
    seen = ", ".join(f"{low:.0f} to {high:.0f} mm" for low, high in ranges)
    yield _verdict("size", agrees, statement, lesions, said, seen)


def _extents_mm(region: Region, image: Image) -> tuple[float, float]:
    """The lengths that a reader may give for a lesion: from its shortest axis to its diagonal, give or take a voxel.

    Of what fills little of its box (fluid around an organ) the depth may be given, which the box does not tell.
    """
    n = len(image.shape)
    spacing = np.asarray(image.spacing)
    counts = np.asarray(region.box[n:]) - np.asarray(region.box[:n])
    sides, voxel = counts * spacing, float(spacing.max())
    compact = region.voxels >= _COMPACT * float(np.prod(counts))
    least = _LEAST * float(sides.min()) - voxel if compact else 0.0
    return least, _MOST * float(np.linalg.norm(sides)) + voxel


def _masks(links: Sequence[Link], regions: Sequence[Region], images: Mapping[str, Image]) -> Iterator[Verdict]:
    """Checks of the structures that sentences lead to."""
    leading: dict[str, list[str]] = {}
    for link in links:
        if link.region_id:
            leading.setdefault(link.region_id, []).append(link.link_id)
    by_name = {(r.image_id, r.name): r for r in regions}
    for region in regions:
        if region.region_id not in leading or not anatomy.is_structure(region.name):
            continue
        ids = tuple(leading[region.region_id])
        other = by_name.get((region.image_id, anatomy.region(region.name).pair))
        if other is not None and anatomy.side_of(region.name) == "left":
            agrees = region.centroid[0] > other.centroid[0]
            seen = f"x {region.centroid[0]:.0f} mm, the right one {other.centroid[0]:.0f} mm"
            yield Verdict("sides of masks", agrees, "", ids, (region.region_id, other.region_id), region.name, seen)
        yield from _volume(region, images[region.image_id], ids)


def _volume(region: Region, image: Image, link_ids: tuple[str, ...]) -> Iterator[Verdict]:
    known = anatomy.region(region.name).volume_ml_range
    n = len(image.shape)
    whole = all(a > 0 for a in region.box[:n]) and all(b < s for b, s in zip(region.box[n:], image.shape, strict=True))
    if known is None or n != 3 or image.grid_unit != "mm" or not region.mm3 or not whole:
        return
    ml = region.mm3 / 1000
    said = f"{region.name}, {known[0]:g} to {known[1]:g} mL in adults"
    yield Verdict(
        "volume of a mask", known[0] <= ml <= known[1], "", link_ids, (region.region_id,), said, f"{ml:.1f} mL"
    )


def _verdict(check: Check, agrees: bool, statement: Statement, regions: list[Region], said: str, seen: str) -> Verdict:
    links = tuple(k.link_id for k in statement.links)
    return Verdict(
        check,
        agrees,
        statement.finding.finding_id,
        links,
        tuple(r.region_id for r in regions),
        f"{statement.concept} {said}",
        seen,
    )
