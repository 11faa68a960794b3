"""Losses and overlaps of masks and boxes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.model.segmentation import box_losses, box_overlap, mask_losses

corner = st.floats(0, 0.4)
boxes = st.tuples(corner, corner, corner, *(st.floats(0.1, 0.6),) * 3).map(
    lambda b: torch.tensor([[*b[:3], b[0] + b[3], b[1] + b[4], b[2] + b[5]]])
)


@given(boxes, boxes)
def test_overlap_is_symmetric_bounded_and_one_with_itself(first: torch.Tensor, second: torch.Tensor) -> None:
    overlap, general = box_overlap(first, second)
    assert torch.allclose(overlap, box_overlap(second, first)[0])
    assert -1 <= general <= overlap + 1e-5 <= 1.0001
    assert torch.allclose(box_overlap(first, first)[0], torch.ones(1), atol=1e-4)


def test_overlap_of_half_shifted_boxes_is_a_third() -> None:
    first = torch.tensor([[0.0, 0, 0, 1, 1, 1]])
    second = torch.tensor([[0.5, 0, 0, 1.5, 1, 1]])
    assert torch.allclose(box_overlap(first, second)[0], torch.tensor([1 / 3]))


def test_a_perfect_mask_costs_next_to_nothing_and_an_inverted_one_much() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    truth[0, 1:3, 2:5, 2:6] = 1
    logits = (truth * 2 - 1) * 12
    assert mask_losses(logits, truth).item() < 1e-3
    assert mask_losses(-logits, truth).item() > 5


def test_a_small_lesion_that_is_missed_costs_much_more_than_its_share_of_voxels() -> None:
    truth = torch.zeros(1, 16, 16, 16)
    truth[0, 3:5, 3:5, 3:5] = 1
    nothing = torch.full_like(truth, -6)
    assert mask_losses(nothing, truth).item() > 1


def test_an_absent_thing_has_no_dice_term() -> None:
    empty = torch.zeros(1, 4, 4, 4)
    assert mask_losses(empty - 10, empty).item() < 1e-3


def test_the_loss_of_a_box_is_least_at_the_truth() -> None:
    truth = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    scores = torch.zeros(1, 8)
    right = box_losses(truth, scores, truth, (2, 2, 2))
    assert box_losses(truth + 0.05, scores, truth, (2, 2, 2)) > right
