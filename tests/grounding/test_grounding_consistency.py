"""Text against masks: what is said and what is drawn, agreeing and not."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from radfoundry.geometry import Grid
from radfoundry.grounding.consistency import Verdict, check_study
from radfoundry.grounding.linker import RuleLinker
from radfoundry.grounding.linking import Places, link_sentences
from radfoundry.grounding.regions import LabelledImage, measure_regions
from radfoundry.grounding.statements import clash, statements_of
from radfoundry.language import find_findings, parse_report
from radfoundry.records import Finding, Image, MadeBy, Measure, Sentence

GRID = Grid.axial((20, 60, 80), (5.0, 5.0, 5.0))
IMAGE = Image("img_1", "sty_1", "CT", 3, GRID.shape, GRID.spacing, GRID.origin, GRID.direction, "mm")


def sentences_and_findings(report: str) -> tuple[list[Sentence], dict[str, list[Finding]]]:
    sentences, findings = [], {}
    for s in parse_report(report).sentences:
        sentences.append(Sentence(f"sen_{s.index}", "rep", s.section, s.index, s.start, s.end, s.text))
        findings[f"sen_{s.index}"] = [
            Finding(f"fnd_{s.index}_{n}", f"sen_{s.index}", f.concept, f.presence, f.temporal, f.side, f.count,
                    tuple(Measure(m.values_mm, m.text) for m in f.measurements), f.start, f.end)
            for n, f in enumerate(find_findings(s.text))
        ]  # fmt: skip
    return sentences, findings


def regions_of(*lesions: tuple[str, str, int], mirrored: bool = False, kidney: int = 6) -> list:
    """Two kidneys, and lesions: name, side, edge in voxels of 5 mm."""
    labels, names = np.zeros(GRID.shape, np.uint8), {1: "left kidney", 2: "right kidney"}
    for value, x in ((1, 60), (2, 10)):
        labels[2 : 2 + kidney, 30 : 30 + kidney, x : x + kidney] = value
    for value, (name, side, edge) in enumerate(lesions, start=3):
        x = {"left": 55, "right": 15}[side]
        labels[12 : 12 + min(edge, 7), 5 * value - 12 : 5 * value - 12 + edge, x : x + edge] = value
        names[value] = name
    if mirrored:
        labels = labels[:, :, ::-1].copy()
    return measure_regions(
        LabelledImage("img_1", np.zeros(GRID.shape), labels, GRID, names, "set"), MadeBy("test", "1")
    )


def check(report: str, regions: list) -> dict[str, list[Verdict]]:
    sentences, findings = sentences_and_findings(report)
    mentions = RuleLinker("clean").link([s.text for s in sentences])
    flat = [f for several in findings.values() for f in several]
    by_sentence = defaultdict(list)
    links = link_sentences(sentences, mentions, flat, Places(tuple(regions)))
    for link in links:
        by_sentence[link.sentence_id].append(link)
    statements = statements_of(sentences, by_sentence, findings)
    found = defaultdict(list)
    for verdict in check_study(statements, links, regions, {"img_1": IMAGE}):
        found[verdict.check].append(verdict)
    return found


@pytest.mark.parametrize(("said", "agrees"), [("left", True), ("right", False)])
def test_a_side_is_right_where_the_lesion_lies(said, agrees) -> None:
    found = check(f"There is a nodule in the {said} upper lobe.", regions_of(("lung nodule", "left", 3)))
    (verdict,) = found["side"]
    assert verdict.agrees is agrees
    assert verdict.said == f"lung nodule {said}"
    assert verdict.seen == "left"
    assert verdict.link_ids


def test_no_side_is_judged_where_none_is_said_or_nothing_is_drawn() -> None:
    assert not check("There is a lung nodule.", regions_of(("lung nodule", "left", 3)))["side"]
    assert not check("There is a nodule in the right upper lobe.", regions_of())["side"]


def test_what_is_denied_and_drawn_conflicts() -> None:
    drawn = regions_of(("lung nodule", "left", 3))
    (verdict,) = check("No lung nodule is seen.", drawn)["presence"]
    assert not verdict.agrees
    assert verdict.region_ids
    assert not check("No nodule is seen in the right upper lobe.", drawn)["presence"]
    (verdict,) = check("There is a nodule in the left upper lobe. No other lung nodule is seen.", drawn)["presence"]
    assert verdict.agrees


def test_what_is_doubted_or_gone_is_not_judged() -> None:
    drawn = regions_of(("lung nodule", "left", 3))
    assert not check("Possible nodule in the right upper lobe.", drawn)["side"]


@pytest.mark.parametrize(
    ("size", "agrees"), [("15 mm", True), ("1.2 cm", True), ("22 mm", True), ("60 mm", False), ("2 mm", False)]
)
def test_a_size_lies_between_the_axes_of_the_lesion(size, agrees) -> None:
    (verdict,) = check(f"There is a {size} nodule in the left upper lobe.", regions_of(("lung nodule", "left", 3)))[
        "size"
    ]
    assert verdict.agrees is agrees, verdict


def test_left_and_right_of_the_masks_are_checked_by_where_they_lie() -> None:
    (sound,) = check("Both kidneys are normal.", regions_of())["sides of masks"]
    assert sound.agrees
    (swapped,) = check("Both kidneys are normal.", regions_of(mirrored=True))["sides of masks"]
    assert not swapped.agrees
    assert swapped.said == "left kidney"


def test_a_mask_as_no_adult_has_it_is_named() -> None:
    """A kidney of 27 mL is none of an adult; one that the image cuts is not judged."""
    found = check("Both kidneys are normal.", regions_of())["volume of a mask"]
    assert {v.agrees for v in found} == {False}
    found = check("Both kidneys are normal.", regions_of(kidney=10))["volume of a mask"]
    assert {v.agrees for v in found} == {True}


def test_statements_contradict_each_other_where_their_places_overlap() -> None:
    def two(report: str) -> bool:
        sentences, findings = sentences_and_findings(report)
        mentions = RuleLinker("clean").link([s.text for s in sentences])
        links = defaultdict(list)
        for link in link_sentences(sentences, mentions, [], Places(())):
            links[link.sentence_id].append(link)
        one, other = statements_of(sentences, links, findings)
        return clash(one, other)

    assert two("There is a nodule in the left upper lobe. No nodule is seen in the lungs.")
    assert not two("There is a nodule in the left upper lobe. No nodule is seen in the right lung.")
