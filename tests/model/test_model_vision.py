"""Encoders: any size in, one grid out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.errors import UsageError
from radfoundry.model.config import StemLevel, VisionConfig, VLMConfig, from_dict, to_dict
from radfoundry.model.presets import PRESETS, nano
from radfoundry.model.vision import VisionTransformer, resize_positions

PATCHES = VisionConfig(size=(4, 8, 8), patch=(2, 4, 4), width=12, depth=1, heads=2, mlp_width=16)
STEM = replace(PATCHES, embedding="stem", stem=(StemLevel(8, (1, 1, 1)), StemLevel(8, (2, 4, 4))))


@settings(max_examples=15, deadline=None)
@given(st.tuples(st.integers(1, 7), st.integers(1, 13), st.integers(1, 13)))
def test_a_stem_takes_any_size_and_gives_the_grid_that_the_config_foresees(shape: tuple[int, int, int]) -> None:
    features = VisionTransformer(STEM)(torch.rand(1, 1, *shape))
    assert features.grid == STEM.grid(shape)
    assert features.tokens.shape == (1, features.grid[0] * features.grid[1] * features.grid[2], 12)
    assert features.as_map().shape[2:] == features.grid


def test_a_picture_is_a_volume_of_depth_one() -> None:
    assert VisionTransformer(PATCHES)(torch.rand(2, 1, 1, 8, 12)).grid == (1, 2, 3)


def test_a_volume_that_does_not_divide_into_patches_is_refused() -> None:
    with pytest.raises(UsageError, match="does not divide into patches of 2x4x4"):
        VisionTransformer(PATCHES)(torch.rand(1, 1, 4, 9, 8))


def test_positions_made_for_one_grid_are_interpolated_to_another() -> None:
    table = torch.arange(8.0).reshape(1, 8, 1)
    assert torch.equal(resize_positions(table, (2, 2, 2), (2, 2, 2)), table)
    wider = resize_positions(table, (2, 2, 2), (2, 2, 4)).reshape(2, 2, 4)
    assert torch.allclose(wider[0, 0], torch.tensor([0.0, 0.25, 0.75, 1.0]))
    assert resize_positions(table[:, :4], (1, 2, 2), (1, 3, 5)).shape == (1, 15, 1)


def test_token_order_is_z_then_y_then_x() -> None:
    model = VisionTransformer(replace(PATCHES, depth=0, final_norm=False, width=32, heads=2))
    torch.nn.init.eye_(model.embedding.linear.weight)
    torch.nn.init.zeros_(model.embedding.linear.bias)
    torch.nn.init.zeros_(model.positions.table)
    volume = torch.arange(4 * 8 * 8.0).reshape(1, 1, 4, 8, 8)
    first_voxels = model(volume).tokens[0, :, 0].reshape(2, 2, 2)
    assert torch.equal(first_voxels, volume[0, 0, ::2, ::4, ::4])


def test_one_image_of_a_batch_is_what_it_is_alone() -> None:
    model = VisionTransformer(STEM).eval()
    batch = torch.rand(3, 1, 4, 8, 8)
    assert torch.allclose(model(batch).image(1).tokens, model(batch[1:2]).tokens, atol=1e-5)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name: str) -> None:
    import json

    config = PRESETS[name]()
    assert from_dict(VLMConfig, json.loads(json.dumps(to_dict(config)))) == config


def test_an_unknown_setting_in_a_config_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown setting in the model config: bogus"):
        from_dict(VLMConfig, {**to_dict(nano()), "bogus": 1})
