from __future__ import annotations

import numpy as np
import pytest

from radfoundry.errors import UsageError
from radfoundry.viewing import presets, window
from radfoundry.viewing.windows import find_window


def test_the_six_ct_presets_are_in_key_order() -> None:
    assert presets("CT") == ("lung", "soft tissue", "bone", "mediastinum", "brain", "full")


@pytest.mark.parametrize(
    ("preset", "black", "white"), [("lung", -1350, 150), ("soft tissue", -160, 240), ("brain", 0, 80)]
)
def test_a_ct_preset_maps_its_ends_to_black_and_white(preset: str, black: int, white: int) -> None:
    grey = window(
        np.array([black - 500, black, (black + white) // 2, white, white + 500], dtype=np.int16), "CT", preset
    )
    assert grey.tolist() == [0, 0, 128, 255, 255]


def test_ct_without_a_preset_is_soft_tissue() -> None:
    pixels = np.linspace(-1000, 1000, 101)
    assert np.array_equal(window(pixels, "CT"), window(pixels, "CT", "soft tissue"))


def test_full_shows_everything() -> None:
    assert window(np.array([-1024, 3071], dtype=np.int16), "CT", "full").tolist() == [0, 255]


@pytest.mark.parametrize("modality", ["MR", "PT", "DX", "US"])
def test_other_modalities_get_percentiles_so_one_hot_sample_does_not_darken_the_rest(modality: str) -> None:
    pixels = np.linspace(0, 100, 10_000)
    pixels[-1] = 1e6
    grey = window(pixels, modality)
    assert grey.dtype == np.uint8
    assert grey[len(grey) // 2] > 100


def test_a_constant_picture_is_black_and_does_not_fail() -> None:
    assert window(np.full((4, 4), 7.0), "MR").max() == 0


def test_an_unsigned_picture_does_not_wrap() -> None:
    assert window(np.array([0, 65535], dtype=np.uint16), "CT", "lung").tolist() == [230, 255]


def test_percentiles_of_a_large_volume_are_those_of_all_its_samples() -> None:
    pixels = np.random.default_rng(0).normal(size=(60, 100, 100))
    assert find_window(pixels, "MR").high == pytest.approx(np.percentile(pixels, 99.5), rel=0.02)


@pytest.mark.parametrize(("modality", "preset"), [("CT", "lungs"), ("MR", "lung")])
def test_an_unknown_preset_is_refused_with_the_known_ones(modality: str, preset: str) -> None:
    with pytest.raises(UsageError, match=r"no window named 'lungs?' for (CT|MR)\nuse one of: .*full"):
        window(np.zeros(3), modality, preset)
