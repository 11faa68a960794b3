"""M3D's boxes and masks: named (REC, REG, segmentation), described (referring), and found by thinking (reasoning)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radfoundry import anatomy
from radfoundry.builders.grounded.statements import home_of, within
from radfoundry.builders.m3d_choices import ranked
from radfoundry.builders.m3d_definitions import definitions
from radfoundry.builders.m3d_view import organs_out_of_view
from radfoundry.builders.samples import SampleMaker, StudyRows, studies_of
from radfoundry.protocols import Batch, Needs, signature
from radfoundry.records import Image, Link, Region, Sample

__all__ = ["AskPlaces"]

_LARGER = 1.1  # of a pair one is called larger from so many times the other's volume on


@dataclass(frozen=True)
class AskPlaces:
    """Ask for the places of some regions of each image.

    regions: about these alone; all if empty. regions_per_image: so many are asked for by name, each as box, name and mask; of these
    `by_definition` are asked for by what they are (mask; the first two as box and name as well) and `by_duty` by what they do.
    by_report: so many lesions an image are asked for as the report speaks of them. absent: ask for one that is out of view.
    A region counts whose name is unique in its image and that has `min_voxels`.
    """

    regions: tuple[str, ...] = ()
    regions_per_image: int = 24
    by_definition: int = 6
    by_duty: int = 2
    by_report: int = 4
    absent: bool = True
    min_voxels: int = 8
    name: str = "ask-m3d-places"
    version: str = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ("studies", "images", "regions", "findings", "links")
    fills: tuple[str, ...] = ("samples",)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Which regions, how many, and how small they may be."""
        names = ("regions", "regions_per_image", "by_definition", "by_duty", "by_report", "absent", "min_voxels")
        return {name: getattr(self, name) for name in names}

    def run(self, batch: Batch) -> Batch:
        """Return the samples of every image."""
        out = Batch()
        made_by = signature(self, "templates")
        links = defaultdict(list)
        for link in batch.table("links"):
            links[link.sentence_id].append(link)
        for rows in studies_of(batch):
            maker = SampleMaker(rows.study, made_by)
            for image in rows.images:
                out.add("samples", *self._image(_Asked(maker, image), rows, links))
        return out

    def _image(self, ask: _Asked, rows: StudyRows, links: Mapping[str, Sequence[Link]]) -> Iterator[Sample]:
        seen = [r for r in rows.regions_of(ask.image) if r.voxels >= self.min_voxels]
        regions = self._chosen(seen)
        for region in regions:
            yield ask.box("box", region)
            yield ask.name("name", region)
            yield ask.mask("segment", "mask", region)
        known = [r for r in regions if r.name in definitions()]
        for place, region in enumerate(_drawn("definition", known)[: self.by_definition]):
            yield ask.mask("refer-segment", "definition", region)
            if place < 2:
                yield ask.box("box-definition", region)
                yield ask.name("name-definition", region)
        with_duty = [r for r in known if definitions()[r.name].duty]
        for region in _drawn("duty", with_duty)[: self.by_duty]:
            yield ask.mask("reason-segment", "duty", region)
        if self.by_duty:
            yield from _larger(ask, regions)
        yield from _told(ask, seen, links, self.by_report)
        if self.absent:
            yield from _absent(ask, seen)

    def _chosen(self, regions: Sequence[Region]) -> list[Region]:
        """Return regions whose name is unique in the image, drawn by id so that a rebuild draws the same."""
        count = Counter(r.name for r in regions)
        fit = [r for r in regions if count[r.name] == 1]
        return _drawn("name", [r for r in fit if not self.regions or r.name in self.regions])[: self.regions_per_image]


@dataclass(frozen=True)
class _Asked:
    """Words a question about a place in one image."""

    maker: SampleMaker
    image: Image

    def box(self, form: str, region: Region) -> Sample:
        """Ask for a region's box."""
        ids, values = [self.image.image_id], _values(region)
        evidence, boxes = [region.region_id], [region.box]
        return self.maker.ask(
            "rec", form, ids, values, evidence, answer_kind="box", boxes=boxes, region_ids=evidence
        )  # fmt: skip

    def name(self, form: str, region: Region) -> Sample:
        """Ask what a given region is."""
        ids, evidence = [self.image.image_id], [region.region_id]
        return self.maker.ask(
            "reg", form, ids, _values(region), evidence, boxes=[region.box], region_ids=evidence, about=region.region_id
        )

    def mask(
        self,
        task: str,
        form: str,
        region: Region,
        values: Mapping[str, str] | None = None,
        others: Sequence[str] = (),
    ) -> Sample:
        """Ask for a region's mask; others: further evidence."""
        ids, evidence = [self.image.image_id], [region.region_id, *others]
        return self.maker.ask(
            task, form, ids, dict(values or _values(region)), evidence, answer_kind="mask", boxes=[region.box],
            region_ids=[region.region_id],
        )  # fmt: skip


def _values(region: Region) -> dict[str, str]:
    known = definitions().get(region.name)
    told = {"definition": known.definition, "duty": known.duty} if known else {}
    return {"region": region.name, **told}


def _drawn(what: str, regions: Sequence[Region]) -> list[Region]:
    by_id = {r.region_id: r for r in regions}
    return [by_id[i] for i in ranked(what, by_id)]


def _larger(ask: _Asked, regions: Sequence[Region]) -> Iterator[Sample]:
    """Ask for the larger of one pair that is whole in the image."""
    image = ask.image
    if image.dimensions != 3:
        return
    whole = {r.name: r for r in regions if not _cut_off(r, image)}
    pairs = [(r, whole[other]) for r in whole.values() if (other := _mirror(r.name)) in whole and r.side == "left"]
    for left, right in pairs:
        large, small = (left, right) if left.voxels > right.voxels else (right, left)
        if large.voxels >= _LARGER * small.voxels:
            values = {"pair": left.name.removeprefix("left "), "region": large.name}
            yield ask.mask("reason-segment", "larger", large, values, [small.region_id])
            return


def _mirror(name: str) -> str:
    other = anatomy.mirror(name) if anatomy.is_structure(name) else None
    return other.name if other else ""


def _cut_off(region: Region, image: Image) -> bool:
    half = len(image.shape)
    return any(a == 0 or b == n for a, b, n in zip(region.box[:half], region.box[half:], image.shape, strict=True))


def _told(ask: _Asked, regions: Sequence[Region], links: Mapping[str, Sequence[Link]], most: int) -> Iterator[Sample]:
    """Ask for lesions as the report speaks of them, where concept, side and place lead to one mask alone."""
    lesions = {r.region_id: r for r in regions if not anatomy.is_structure(r.name)}
    found: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for said in links.values():
        places = {k.name for k in said if k.finding_id is None}
        for link in said:
            if link.finding_id is not None and link.region_id in lesions and len(places) == 1:
                (place,) = places
                if within(home_of(link.name), place):  # the place says no more than the finding's own name
                    continue
                carried = [k.link_id for k in said if k.name == place]
                found[(link.name, place)][link.region_id] += [link.finding_id, link.link_id, *carried]
    alone = {key: held for key, held in found.items() if len(held) == 1}
    for concept, place in sorted(alone)[:most]:
        ((region_id, evidence),) = alone[(concept, place)].items()
        values = {"concept": concept, "region": place}
        yield ask.mask("refer-segment", "report", lesions[region_id], values, list(dict.fromkeys(evidence)))


def _absent(ask: _Asked, regions: Sequence[Region]) -> Iterator[Sample]:
    """Ask for the box and for the mask of an organ that is out of view: the answer says so in words."""
    absent = organs_out_of_view(regions)
    evidence = [r.region_id for r in regions if anatomy.is_structure(r.name)]
    for task in ("rec", "segment"):
        for name in ranked(f"{task}|{ask.image.image_id}", absent)[:1]:
            yield ask.maker.ask(task, "absent", [ask.image.image_id], {"region": name}, evidence)
