"""Sizes read from answers, and lists whose order does not matter."""

from __future__ import annotations

import pytest

from radfoundry.metrics import ListMatch, SizeError, SizeWithin, parse_size_mm


@pytest.mark.parametrize(
    ("text", "mm"),
    [("12 mm", 12), ("1.2 cm", 12), ("It measures 30 x 20 mm.", 30), ("large", None), ("", None)],
)
def test_a_size_is_read_in_any_unit(text: str, mm: float | None) -> None:
    assert parse_size_mm(text) == mm


def test_two_sizes_that_differ_are_no_answer() -> None:
    assert parse_size_mm("One is 5 mm. The other is 9 mm.") is None


@pytest.mark.parametrize(("said", "score"), [("9 mm", 1), ("15 mm", 1), ("8.9 mm", 0), ("15.1 mm", 0), ("big", 0)])
def test_a_quarter_of_the_true_length_is_near_enough(said: str, score: float) -> None:
    metric = SizeWithin(0.25)
    metric.update(said, "12 mm")
    assert metric.result().value == score


def test_an_answer_without_a_size_is_wrong_and_has_no_error_in_mm() -> None:
    within, error = SizeWithin(), SizeError()
    for metric in (within, error):
        metric.update("12 mm", "10 mm")
        metric.update("it is big", "10 mm")
    assert (within.result().value, within.counts["unparsable"]) == (0.5, 1)
    assert (error.result().value, error.result().n, error.counts["undefined"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("said", "true", "score"),
    [
        ("Spinal cord, lung", "Lung, Spinal Cord", 1),
        ("lung and spinal cord", "Lung, Spinal Cord", 1),
        ("lung", "Lung, Spinal Cord", 0),
        ("lung, lung", "Lung", 1),
        (",", "Lung", 0),
        ("", "", 1),
        (";", ",", 0),
    ],
)
def test_the_order_of_a_list_does_not_matter(said: str, true: str, score: float) -> None:
    assert ListMatch().score(said, true) == score
