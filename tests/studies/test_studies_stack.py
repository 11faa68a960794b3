"""Slices to a volume: order and grid from places alone, and a reason wherever there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_files import grids

from radfoundry.errors import GeometryError
from radfoundry.geometry import Grid
from radfoundry.studies.stack import Place, stack


def places_of(grid: Grid) -> list[Place]:
    d = grid.direction_matrix
    orientation = (*d[:, 0], *d[:, 1])
    return [
        Place(grid.shape[1:], tuple(grid.to_world((k, 0, 0))), orientation, grid.spacing[1:])
        for k in range(grid.shape[0])
    ]


def axial(count: int = 5, step: float = 2.0) -> list[Place]:
    return [Place((4, 6), (0.0, 0.0, k * step), (1, 0, 0, 0, 1, 0), (1.0, 1.0)) for k in range(count)]


def code_of(places: list[Place]) -> str:
    with pytest.raises(GeometryError) as caught:
        stack(places, "the series")
    return caught.value.code


@given(grids(right_handed=True), st.randoms())
def test_any_oblique_anisotropic_stack_in_any_order_gives_back_its_grid(grid: Grid, random: object) -> None:
    places = places_of(grid)
    order = list(range(len(places)))
    random.shuffle(order)  # type: ignore[attr-defined]
    made = stack([places[i] for i in order], "the series")
    assert [order[i] for i in made.order] == list(range(len(places)))
    assert made.grid.matches(grid)
    assert made.notes == ()


def test_two_slices_are_too_few() -> None:
    assert code_of(axial(2)) == "too-few-slices"


def test_two_frames_of_one_object_are_enough() -> None:
    assert stack(axial(2), "the object", least=2).grid.spacing[0] == 2.0


def test_three_slices_are_enough() -> None:
    assert stack(axial(3), "the series").grid.shape == (3, 4, 6)


def test_a_single_slice_is_as_deep_as_it_is_thick() -> None:
    made = stack([replace(axial(1)[0], thickness=5.0)], "a slice")
    assert made.grid.spacing[0] == 5.0
    assert made.notes[0].startswith("single-slice")


def test_slices_at_one_position_are_no_volume() -> None:
    assert code_of([axial(1)[0]] * 4) == "same-position"


def test_a_repeated_slice_is_named() -> None:
    assert code_of([*axial(5), axial(5)[2]]) == "repeated-slices"


def test_a_missing_slice_is_counted_and_placed() -> None:
    places = axial(6)
    del places[3]
    with pytest.raises(GeometryError, match=r"1 missing: the step is 2 mm, but 4 mm from 4.00 to 8.00") as caught:
        stack(places, "the series")
    assert caught.value.code == "missing-slices"


def test_a_tilted_gantry_is_seen_without_its_tag() -> None:
    tilted = [replace(p, orientation=(1, 0, 0, 0, np.cos(0.3), -np.sin(0.3))) for p in axial()]
    with pytest.raises(GeometryError, match=r"17\.2 degrees") as caught:
        stack(tilted, "the series")
    assert caught.value.code == "gantry-tilt"


def test_uneven_slices_are_refused() -> None:
    heights = (0.0, 2.0, 4.0, 7.0, 10.0)
    assert code_of([replace(p, position=(0, 0, h)) for p, h in zip(axial(), heights, strict=True)]) == "uneven-slices"


def test_a_slice_a_fiftieth_off_its_place_is_told_but_kept() -> None:
    places = axial()
    places[2] = replace(places[2], position=(0.0, 0.0, 4.04))
    made = stack(places, "the series")
    assert made.notes[0].startswith("uneven-slices")


def test_jitter_of_rounded_positions_is_silent() -> None:
    places = [replace(p, position=(0.0, 0.0, round(k * 0.75, 2) + 0.003 * (k % 2))) for k, p in enumerate(axial(20))]
    assert stack(places, "the series").notes == ()


def test_slices_shifted_to_and_fro_are_refused() -> None:
    places = [replace(p, position=(5.0 * (k % 2), 0.0, 2.0 * k)) for k, p in enumerate(axial())]
    assert code_of(places) == "shifted-slices"


def test_sizes_orientations_and_spacings_do_not_mix() -> None:
    assert code_of([*axial(3), replace(axial(4)[3], shape=(5, 6))]) == "mixed-size"
    assert code_of([*axial(3), replace(axial(4)[3], orientation=(0, 1, 0, 0, 0, -1))]) == "mixed-orientation"
    assert code_of([*axial(3), replace(axial(4)[3], spacing=(1.0, 2.0))]) == "mixed-spacing"
