"""The kinds of size string of the specification and the data, one by one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.language import find_measurements, why_no_size

KINDS = {
    "4.6 mm": [(4.6,)],
    "40 mm": [(40,)],
    "12mm": [(12,)],
    "5-mm nodule": [(5,)],
    "1 cm": [(10,)],
    "1,5 cm": [(15,)],
    "2.5 centimeters": [(25,)],
    "8 millimetres": [(8,)],
    "6x4 mm": [(6, 4)],
    "12x6.5 mm": [(12, 6.5)],
    "60x30mm": [(60, 30)],
    "22 x 12 mm": [(22, 12)],
    "3.5 x 2 cm": [(35, 20)],
    "6x4.5 cm": [(60, 45)],
    "3 by 4 cm": [(30, 40)],
    "27x28x46 mm": [(27, 28, 46)],
    "10 mm x 8 mm x 5 mm": [(10, 8, 5)],
    "3.6x5x5": [(3.6, 5, 5)],
    "2-3 mm": [(3,)],
    "3 mm to 8 mm": [(8,)],
    "up to 55 mm": [(55,)],
    "less than 1 cm": [(10,)],
    "short axis not exceeding 5 mm": [(5,)],
    "17 mm on the right and 13 mm on the left": [(17,), (13,)],
}
NO_SIZES = [
    "170 in",
    "IMA 30",
    "series 2 image 408",
    "image 170",
    "T12",
    "12 cm2",
    "20 mm/s",
    "0 mm",
    "99999 mm",
    "series 3x4x5",
    "Size",
]


@pytest.mark.parametrize("text", KINDS)
def test_rg_t24_a_kind_of_size_string_is_read(text: str) -> None:
    """RG-T24."""
    assert [size.values_mm for size in find_measurements(text)] == KINDS[text]


@pytest.mark.parametrize("text", NO_SIZES)
def test_rg_t24_what_is_no_size_is_refused_with_a_reason(text: str) -> None:
    """RG-T24."""
    assert find_measurements(text) == ()
    assert why_no_size(text)


def test_a_range_keeps_both_ends() -> None:
    (size,) = find_measurements("nodules of 2-3 mm")
    assert (size.low_mm, size.high_mm, size.text) == (2, 3, "2-3 mm")


def test_bounds_are_told_from_sizes() -> None:
    assert find_measurements("less than 1 cm")[0].high_mm == 10
    assert find_measurements("over 5 mm")[0].low_mm == 5
    assert find_measurements("5 mm")[0].high_mm is None


def test_two_sizes_that_share_a_unit_are_two() -> None:
    assert [size.values_mm for size in find_measurements("4 and 6 mm")] == [(4,), (6,)]
    assert [size.values_mm for size in find_measurements("between 4 and 6 mm")] == [(6,)]


@settings(deadline=None, max_examples=50)
@given(st.floats(0.5, 240).map(lambda x: round(x, 1)), st.floats(0.5, 240).map(lambda x: round(x, 1)))
def test_what_is_written_in_centimetres_is_ten_times_what_is_written_in_millimetres(a: float, b: float) -> None:
    (small,), (large,) = find_measurements(f"{a} x {b} mm"), find_measurements(f"{a} x {b} cm")
    assert large.values_mm == pytest.approx([10 * value for value in small.values_mm])


@settings(deadline=None, max_examples=60)
@given(st.text("0123456789.,x-/ mc()", max_size=60))
def test_a_size_is_the_text_at_its_place(text: str) -> None:
    for size in find_measurements(text):
        assert size.text == text[size.start : size.end]


def test_every_published_size_is_read_or_refused_with_a_reason(shared_data: Path) -> None:
    with (shared_data / "radgenome/train2000_vqa_size_dev.csv").open(encoding="utf-8", newline="") as file:
        sizes = [row["Size"] for row in csv.DictReader(file)]
    assert all(find_measurements(size) or why_no_size(size) for size in sizes)
    assert sum(bool(find_measurements(size)) for size in sizes) == len(sizes)
