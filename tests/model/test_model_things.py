"""Things: pieces of what is marked, and what is said of them."""

from __future__ import annotations

import math

import pytest
import torch

from radfoundry.model.config import SegmentationConfig
from radfoundry.model.things import Scene, ThingTokens, cells_of, company_of, describe, find_things

SHAPE = (8, 16, 16)


def _scene(marked: torch.Tensor, names: int = 3) -> Scene:
    """A scene whose fine map is the one-hot of what is marked: voxels of 10 x 5 x 5 mm, brightness the name's number."""
    axes = [(torch.arange(n) - (n - 1) / 2) * step for n, step in zip(marked.shape, (0.1, 0.05, 0.05), strict=True)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    fine = torch.nn.functional.one_hot(marked, names).movedim(-1, 0).float()
    volume = torch.cat([marked[None].float(), places])
    return Scene(volume, fine, company_of(cells_of(fine)), lambda voxels: voxels)


def test_pieces_are_things_the_largest_of_each_name_first_and_single_voxels_are_none() -> None:
    marked = torch.zeros(SHAPE, dtype=torch.long)
    marked[0:4, 0:4, 0:4] = 1
    marked[6:8, 6:8, 6:8] = 1
    marked[0:2, 10:12, 10:12] = 2
    marked[7, 15, 15] = 2
    things = find_things(marked, _scene(marked), slots=6)
    assert things.labels.unique().tolist() == [0, 1, 2, 3]
    assert [things.names[i].argmax().item() for i in range(3)] == [1, 1, 2]
    assert (things.labels == 1).sum() == 64
    assert things.labels[7, 15, 15] == 0
    assert things.names[3:].abs().sum() == 0


def test_with_too_few_slots_every_name_keeps_its_largest_piece() -> None:
    marked = torch.zeros(SHAPE, dtype=torch.long)
    marked[0:4, 0:4, 0:4] = 1
    marked[6:8, 4:8, 4:8] = 1
    marked[0:2, 10:12, 10:12] = 2
    things = find_things(marked, _scene(marked), slots=2)
    assert [things.names[i].argmax().item() for i in range(2)] == [1, 2]


def test_measures_are_those_of_the_voxels() -> None:
    marked = torch.zeros(SHAPE, dtype=torch.long)
    marked[2:4, 4:8, 4:12] = 1
    names, _, measures, look = describe((marked == 1).long()[None], 1, _scene(marked))
    voxels = 2 * 4 * 8
    assert measures[0, 0].item() == pytest.approx(math.log(voxels), abs=1e-5)
    assert measures[0, 1].item() == pytest.approx(math.log(voxels * 0.1 * 0.05 * 0.05), abs=1e-5)
    assert measures[0, 2:4].tolist() == pytest.approx([1, 0], abs=1e-6)
    assert measures[0, 4:7].tolist() == pytest.approx([-0.1, -0.1, 0.0], abs=1e-6)
    assert measures[0, 10:13].tolist() == pytest.approx([0.2, 0.2, 0.4], abs=1e-6)
    assert names[0].tolist() == [0, 1, 0]
    assert look[0].tolist() == [0, 1, 0]


def test_the_longest_diameter_of_a_ball_is_its_diameter_within_a_tenth() -> None:
    z, y, x = torch.meshgrid(*[torch.arange(n) - (n - 1) / 2 for n in (16, 32, 32)], indexing="ij")
    ball = ((z * 10) ** 2 + (y * 5) ** 2 + (x * 5) ** 2) <= 40**2
    _, _, measures, _ = describe(ball.long()[None], 1, _scene(ball.long()))
    assert measures[0, 13].item() == pytest.approx(0.8, rel=0.1)


def test_company_tells_what_lies_around() -> None:
    marked = torch.ones(SHAPE, dtype=torch.long)
    marked[4:6, 4:6, 4:6] = 2
    _, company, _, _ = describe((marked == 2).long()[None], 1, _scene(marked))
    assert company[0, 1] > 0.8
    assert 0 < company[0, 2] < 0.2


def test_a_picture_has_company_too() -> None:
    marked = torch.zeros(1, 16, 16, dtype=torch.long)
    marked[0, 4:8, 4:8] = 1
    assert find_things(marked, _scene(marked), slots=2).company[0, 1] > 0.4


def test_regions_may_overlap_and_an_empty_one_is_no_number_out_of_nothing() -> None:
    marked = torch.ones(SHAPE, dtype=torch.long)
    layers = torch.zeros(3, *SHAPE, dtype=torch.long)
    layers[0, :4], layers[1, 2:6] = 1, 2
    described = describe(layers, 3, _scene(marked))
    assert described[2][0, 0] == described[2][1, 0]
    assert all(part.isfinite().all() for part in described)


def test_tokens_tell_found_from_given_and_one_millimetre_from_the_next() -> None:
    torch.manual_seed(0)
    tokens = ThingTokens(SegmentationConfig(channels=3, names=("a", "b")), 16)
    parts = [torch.randn(2, 3), torch.randn(2, 3), torch.randn(2, 14), torch.randn(2, 3)]
    assert not torch.equal(tokens(*parts), tokens(*parts, given=True))
    longer = parts[2].clone()
    longer[:, 13] += 0.01
    assert (tokens(*parts) - tokens(parts[0], parts[1], longer, parts[3])).abs().max() > 1e-3
