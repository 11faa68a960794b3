"""Sentences that point: worked cases on a little report."""

from __future__ import annotations

import pytest

from radfoundry.metrics import GroundedSentence, HallucinatedPlace, Place, RightRegion, RightSide, pair_sentences

LEFT = (0.0, 0.0, 6.0, 4.0, 4.0, 10.0)
RIGHT = (0.0, 0.0, 0.0, 4.0, 4.0, 4.0)
REPORT = [
    GroundedSentence("A nodule in the left upper lobe.", (Place("lung upper lobe", "left", LEFT),)),
    GroundedSentence("Effusion on the right.", (Place("pleura", "right", RIGHT),)),
    GroundedSentence("The heart is of normal size.", (Place("heart"),)),
    GroundedSentence("Follow-up is recommended."),
]


def rates(said: list[GroundedSentence] | None, true: list[GroundedSentence] = REPORT) -> list[float | None]:
    values = []
    for metric in (RightRegion(), RightSide(), HallucinatedPlace()):
        metric.update(said, true)
        values.append(metric.result().value)
    return values


def swap_sides(sentence: GroundedSentence) -> GroundedSentence:
    other = {"left": "right", "right": "left"}
    boxes = {LEFT: RIGHT, RIGHT: LEFT}
    return sentence._replace(
        places=tuple(Place(p.region, other.get(p.side, p.side), boxes.get(p.box_zyx or ())) for p in sentence.places)
    )


def test_the_report_itself_is_perfect() -> None:
    assert rates(REPORT) == [1, 1, 0]


def test_swapped_sides_keep_the_region_and_lose_the_side() -> None:
    swapped = [swap_sides(sentence) for sentence in REPORT]
    # two of three places have a box that now lies on the other side of the body
    assert rates(swapped) == [1, 0, pytest.approx(2 / 3)]


def test_a_dropped_sentence_loses_its_region_and_side() -> None:
    assert rates(REPORT[1:]) == [pytest.approx(2 / 3), 0.5, 0]


def test_no_answer_loses_everything_and_invents_nothing() -> None:
    assert rates(None) == [0, 0, None]
    assert rates([]) == [0, 0, None]


def test_a_place_for_advice_is_invented() -> None:
    said = [*REPORT[:3], REPORT[3]._replace(places=(Place("heart"),))]
    assert rates(said) == [1, 1, 0.25]


def test_a_sentence_nobody_wrote_invents_its_places() -> None:
    said = [*REPORT, GroundedSentence("Liver cyst.", (Place("liver"), Place("kidney", "left")))]
    assert rates(said) == [1, 1, pytest.approx(2 / 5)]


def test_one_region_too_many_is_not_the_right_region() -> None:
    said = [REPORT[0]._replace(places=(*REPORT[0].places, Place("heart"))), *REPORT[1:]]
    assert rates(said) == [pytest.approx(2 / 3), 1, 0.25]


def test_left_and_right_are_bilateral() -> None:
    both = [GroundedSentence("Both lungs are clear.", (Place("lung", "bilateral"),))]
    two = [GroundedSentence("Both lungs are clear.", (Place("lung", "left"), Place("lung", "right")))]
    one = [GroundedSentence("Both lungs are clear.", (Place("lung", "left"),))]
    assert rates(two, both)[:2] == [1, 1]
    assert rates(one, both)[:2] == [1, 0]


def test_a_reference_without_places_is_undefined() -> None:
    assert rates([REPORT[3]], [REPORT[3]]) == [None, None, None]


def test_sentences_are_paired_by_what_they_say_not_by_order() -> None:
    pairs = pair_sentences(REPORT[::-1], REPORT)
    assert all(pair.said == pair.true for pair in pairs)


def test_sentences_that_share_too_little_are_not_paired() -> None:
    pairs = pair_sentences([GroundedSentence("The spleen is large.")], REPORT[:1])
    assert pairs == [(GroundedSentence("The spleen is large."), None), (None, REPORT[0])]


def test_one_reference_sentence_has_one_counterpart() -> None:
    said = [REPORT[0], REPORT[0]]
    assert sum(pair.true is not None and pair.said is not None for pair in pair_sentences(said, REPORT[:1])) == 1
