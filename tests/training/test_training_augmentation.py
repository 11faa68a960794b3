"""What a model sees may turn, grow and shift; left stays left, and masks and boxes stay on what they are about."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.training.augmentation import augmented, draw_move

SHAPE = (12, 40, 48)
seeds = st.integers(0, 10_000)
strengths = st.floats(0.1, 1.0)


def _ellipsoid(shape, centre, radii) -> np.ndarray:
    grid = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in shape), indexing="ij"), axis=-1)
    return (((grid - centre) / radii) ** 2).sum(axis=-1) <= 1


def _iou(a, b) -> float:
    low, high = np.maximum(a[:3], b[:3]), np.minimum(a[3:], b[3:])
    shared = np.prod(np.clip(high - low, 0, None))
    volumes = [np.prod(np.subtract(box[3:], box[:3])) for box in (a, b)]
    return float(shared / (sum(volumes) - shared))


def _tight(mask) -> np.ndarray:
    places = np.argwhere(mask)
    return np.concatenate([places.min(axis=0), places.max(axis=0) + 1]).astype(float)


@given(seeds, strengths)
@settings(max_examples=40, deadline=None)
def test_there_is_no_reflection_and_left_stays_left(seed, strength) -> None:
    move = draw_move(SHAPE, strength, np.random.default_rng(seed))
    assert np.linalg.det(move.matrix) > 0
    right, left = move.matrix @ [-0.5, 0, 0] + move.shift, move.matrix @ [0.5, 0, 0] + move.shift
    assert right[0] < left[0]
    feet, head = move.matrix @ [0, 0, -0.5] + move.shift, move.matrix @ [0, 0, 0.5] + move.shift
    assert feet[2] < head[2]


@given(seeds, strengths)
@settings(max_examples=30, deadline=None)
def test_a_mask_moves_as_the_pixels_do(seed, strength) -> None:
    mask = _ellipsoid(SHAPE, (6, 18, 30), (4, 9, 7))
    move = draw_move(SHAPE, strength, np.random.default_rng(seed))
    seen = move.pixels(torch.from_numpy(mask.astype(np.float32))[None])[0].numpy() >= 0.5
    moved = move.mask(mask)
    assert (moved == seen).mean() > 0.999
    assert moved.any()


@given(seeds, strengths)
@settings(max_examples=30, deadline=None)
def test_a_box_moves_as_the_thing_in_it_does(seed, strength) -> None:
    mask = _ellipsoid(SHAPE, (6, 20, 26), (4, 10, 8))
    move = draw_move(SHAPE, strength, np.random.default_rng(seed))
    box = np.array(move.box(tuple(_tight(mask)), SHAPE))
    assert _iou(box, _tight(move.mask(mask))) > 0.7
    assert (box[:3] >= 0).all()
    assert (box[3:] <= SHAPE).all()


def test_a_picture_stays_one_slice(tiny) -> None:
    move = draw_move((1, 32, 32), 1.0, np.random.default_rng(3))
    picture = torch.randn(1, 1, 32, 32)
    assert move.pixels(picture).shape == picture.shape
    assert move.pixels(torch.ones(1, 1, 32, 32)).allclose(torch.ones(1, 1, 32, 32), atol=1e-5)


def test_a_study_moves_with_all_that_points_at_it_and_keeps_its_words(tiny) -> None:
    _, _, data = tiny()
    example = data.example(2, 3, np.random.default_rng(1))
    moved = augmented(example, 1.0, np.random.default_rng(5))
    own = example.looks[0].intensities
    assert not torch.equal(moved.looks[0].pixels[:own], example.looks[0].pixels[:own])
    assert torch.equal(moved.looks[0].pixels[own:], example.looks[0].pixels[own:])  # where a voxel lies in the view
    for before, after in zip(example.conversations, moved.conversations, strict=True):
        assert (before.ids, before.labels) == (after.ids, after.labels)
        for (_, old), (_, new) in zip(before.pointers, after.pointers, strict=True):
            if old.mask is not None:
                assert new.mask.shape == old.mask.shape
                assert (new.mask != old.mask).any()
            else:
                assert 0.4 < _iou(np.array(old.box_zyx), np.array(new.box_zyx)) < 1


def test_no_strength_is_no_change_of_place() -> None:
    move = draw_move(SHAPE, 0.0, np.random.default_rng(0))
    mask = _ellipsoid(SHAPE, (6, 20, 26), (4, 10, 8))
    assert (move.mask(mask) == mask).all()
    assert np.allclose(move.box((1, 2, 3, 7, 8, 9), SHAPE), (1, 2, 3, 7, 8, 9))
