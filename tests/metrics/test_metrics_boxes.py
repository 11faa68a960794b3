"""Boxes: by hand, by laws, and against counting voxels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.metrics import BoxAccuracy, BoxGIoU, BoxIoU, box_giou, box_iou

UNIT = (0, 0, 0, 2, 2, 2)


@st.composite
def boxes(draw: st.DrawFn, axes: int = 3) -> tuple[int, ...]:
    starts = [draw(st.integers(0, 8)) for _ in range(axes)]
    return (*starts, *(start + draw(st.integers(1, 6)) for start in starts))


def paint(box: tuple[int, ...]) -> np.ndarray:
    canvas = np.zeros((15,) * (len(box) // 2), dtype=bool)
    canvas[tuple(slice(a, b) for a, b in zip(box[: len(box) // 2], box[len(box) // 2 :], strict=True))] = True
    return canvas


@pytest.mark.parametrize(
    ("first", "second", "iou", "giou"),
    [
        (UNIT, UNIT, 1, 1),
        (UNIT, (0, 0, 1, 2, 2, 3), 4 / 12, 4 / 12),  # half overlap side by side
        (UNIT, (0, 0, 2, 2, 2, 4), 0, 0),  # touching
        (UNIT, (0, 0, 4, 2, 2, 6), 0, -1 / 3),  # disjoint: a third of the hull is a gap
        (UNIT, (1, 1, 1, 3, 3, 3), 1 / 15, 1 / 15 - 12 / 27),  # diagonal
        (UNIT, (0, 0, 0, 1, 1, 1), 1 / 8, 1 / 8),  # nested
        ((3, 3, 3, 4, 4, 4), (3, 3, 3, 4, 4, 4), 1, 1),  # a single voxel
        ((3, 3, 3, 3, 4, 4), (3, 3, 3, 3, 4, 4), 0, 0),  # nothing
        ((0, 0, 2, 2), (0, 1, 2, 3), 1 / 3, 1 / 3),  # a picture
    ],
)
def test_worked_boxes(first: tuple[int, ...], second: tuple[int, ...], iou: float, giou: float) -> None:
    assert box_iou(first, second) == pytest.approx(iou)
    assert box_giou(first, second) == pytest.approx(giou)


@given(boxes(), boxes())
def test_iou_is_that_of_the_painted_voxels(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    a, b = paint(first), paint(second)
    assert float(box_iou(first, second)) == pytest.approx((a & b).sum() / (a | b).sum())


@given(boxes(2), boxes(2))
def test_giou_is_symmetric_and_never_above_iou(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    assert box_giou(first, second) == box_giou(second, first)
    assert -1 < box_giou(first, second) <= box_iou(first, second) + 1e-12


def test_many_boxes_at_once() -> None:
    many = np.array([UNIT, (0, 0, 1, 2, 2, 3)])
    assert box_iou(many, np.array([UNIT, UNIT])).tolist() == pytest.approx([1, 1 / 3])


def score(metric: BoxIoU, said: object, true: object) -> float | None:
    metric.update(said, true)  # type: ignore[arg-type]
    return metric.per_sample()[-1]


def test_a_right_absence_is_right_and_a_wrong_one_is_wrong() -> None:
    metric = BoxIoU()
    assert score(metric, (), ()) == 1
    assert score(metric, (), UNIT) == 0
    assert score(metric, UNIT, ()) == 0
    assert metric.result().note == "1 right about absence; 2 wrong about absence"


@pytest.mark.parametrize("box", [(2, 0, 0, 1, 2, 2), (0, 0, 1, 1), (0, 0, 0, np.nan, 1, 1)])
def test_impossible_boxes_are_wrong_and_counted(box: tuple[float, ...]) -> None:
    metric = BoxIoU()
    assert score(metric, box, UNIT) == 0
    assert metric.counts["impossible_box"] == 1


def test_a_missing_box_has_the_worst_giou() -> None:
    assert score(BoxGIoU(), None, UNIT) == -1
    assert score(BoxGIoU(), (1, 0, 0, 0, 2, 2), UNIT) == -1


def test_accuracy_includes_its_threshold() -> None:
    metric = BoxAccuracy(1 / 3)
    assert score(metric, (0, 0, 1, 2, 2, 3), UNIT) == 1
    assert metric.name == "box Acc@0.333333"
