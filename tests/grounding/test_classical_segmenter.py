"""The built-in segmenter: body, lungs and sides, airway and bone by rules alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry import anatomy
from radfoundry.errors import GeometryError
from radfoundry.geometry import Grid
from radfoundry.grounding.classical import NAMES, segment_ct
from radfoundry.grounding.classical.segment import block_mean
from radfoundry.phantom import Phantom, make_phantom
from radfoundry.phantom.tissues import ORGANS

LEFT, RIGHT, AIRWAY, BONE = 2, 3, 4, 5
LOBES = {
    LEFT: [ORGANS[f"left lung {lobe} lobe"] for lobe in ("upper", "lower")],
    RIGHT: [ORGANS[f"right lung {lobe} lobe"] for lobe in ("upper", "middle", "lower")],
}


@cache
def cases() -> tuple[tuple[Phantom, np.ndarray], ...]:
    return tuple((p, segment_ct(p.volume, p.grid).labels) for p in map(make_phantom, range(6)))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def has_pleural_air(phantom: Phantom) -> bool:
    return any(f.concept == "pneumothorax" and f.presence == "present" for f in phantom.truth)


def test_lungs_of_phantoms_reach_a_dice_of_097() -> None:
    """The reference holds the lesions inside the lobes and leaves out fluid and air of the pleura."""
    scores = [
        dice(labels == v, np.isin(p.organs, LOBES[v])) for p, labels in cases() if not has_pleural_air(p) for v in LOBES
    ]
    assert np.mean(scores) >= 0.97
    assert min(scores) >= 0.94


def test_airway_and_bone_of_phantoms_are_found() -> None:
    bones = [
        v
        for name, v in ORGANS.items()
        if any(k in name for k in ("rib", "clavicle", "scapula", "vertebrae", "sternum"))
    ]
    airway = [dice(labels == AIRWAY, p.organs == ORGANS["trachea and bronchi"]) for p, labels in cases()]
    bone = [dice(labels == BONE, np.isin(p.organs, bones)) for p, labels in cases()]
    assert np.mean(airway) > 0.75
    assert np.mean(bone) > 0.65


def test_the_body_holds_the_patient_and_not_the_table() -> None:
    for phantom, labels in cases():
        assert np.mean(labels[phantom.organs > 0] > 0) > 0.99
        # below the back there is only the table
        assert not (labels[:, -3:] > 0).any()


def test_names_are_canonical_and_cover_the_values() -> None:
    result = segment_ct(cases()[0][0].volume, cases()[0][0].grid)
    assert set(np.unique(result.labels)) <= {0, *result.names}
    assert result.names == NAMES
    for name in NAMES.values():
        assert anatomy.region(name).name == name


def test_a_mirrored_patient_has_mirrored_sides() -> None:
    phantom, labels = cases()[1]
    mirrored = segment_ct(np.ascontiguousarray(phantom.volume[:, :, ::-1]), phantom.grid).labels[:, :, ::-1]
    assert dice(mirrored == LEFT, labels == RIGHT) > 0.98
    assert dice(mirrored == RIGHT, labels == LEFT) > 0.98


@pytest.mark.parametrize("padding", [-2048, -3024])
def test_padding_is_air(padding: int) -> None:
    phantom, labels = cases()[1]
    volume = phantom.volume.copy()
    y, x = np.ogrid[-1:1:64j, -1:1:64j]
    volume[:, x * x + y * y > 0.99] = padding
    assert np.mean(segment_ct(volume, phantom.grid).labels == labels) > 0.995


def test_a_slab_of_three_slices_has_both_lungs() -> None:
    phantom, labels = cases()[1]
    middle = int(np.argwhere(labels == LEFT)[:, 0].mean())
    slab = slice(middle - 1, middle + 2)
    grid = phantom.grid.with_shape((3, 64, 64))
    found = segment_ct(np.ascontiguousarray(phantom.volume[slab]), grid).labels
    for value, lobes in LOBES.items():
        assert dice(found == value, np.isin(phantom.organs[slab], lobes)) > 0.95


def test_a_lung_cut_by_the_edge_of_the_picture_is_still_a_lung() -> None:
    phantom, _ = cases()[1]
    x = np.argwhere(np.isin(phantom.organs, LOBES[RIGHT]))[:, 2]
    y = np.argwhere(phantom.organs > 0)[:, 1]
    z = np.argwhere(np.isin(phantom.organs, LOBES[RIGHT]))[:, 0]
    cut = np.s_[int(np.percentile(z, 30)) : int(np.percentile(z, 70)), y.min() + 6 : y.max() - 5, int(np.median(x)) :]
    volume = np.ascontiguousarray(phantom.volume[cut])
    found = segment_ct(volume, phantom.grid.with_shape(volume.shape)).labels
    assert dice(found == RIGHT, np.isin(phantom.organs[cut], LOBES[RIGHT])) > 0.93


def box_of_lungs(gap: int) -> np.ndarray:
    """A block of muscle with two lungs in it, `gap` voxels apart, joined in front where the gap is negative."""
    volume = np.full((30, 60, 80), -1000, dtype=np.int16)
    volume[:, 6:54, 6:74] = 40
    volume[4:26, 12:48, 12 : 40 - max(gap, 4) // 2] = -850
    volume[4:26, 12:48, 40 + max(gap, 4) // 2 : 68] = -850
    if gap < 0:
        volume[10:20, 12:16, 30:50] = -850
    return volume


def test_lungs_that_touch_are_parted_in_the_middle() -> None:
    grid = Grid.axial((30, 60, 80), (4.0, 4.0, 4.0))
    apart, fused = segment_ct(box_of_lungs(6), grid).labels, segment_ct(box_of_lungs(-1), grid).labels
    for labels in (apart, fused):
        for value in (LEFT, RIGHT):
            x = np.argwhere(labels == value)[:, 2]
            assert (x > 39).mean() == pytest.approx(float(value == LEFT), abs=0.03)


def test_vessels_inside_a_lung_belong_to_it() -> None:
    volume = box_of_lungs(6)
    volume[4:26, 30:32, 20:22] = 60
    labels = segment_ct(volume, Grid.axial((30, 60, 80), (4.0, 4.0, 4.0))).labels
    assert (labels[5:25, 30:32, 20:22] == RIGHT).all()


def test_gas_in_the_bowel_is_no_lung() -> None:
    volume = np.full((30, 60, 80), -1000, dtype=np.int16)
    volume[:, 6:54, 6:74] = 40
    volume[5:15, 15:25, 20:35] = -1000
    labels = segment_ct(volume, Grid.axial((30, 60, 80), (4.0, 4.0, 4.0))).labels
    assert not np.isin(labels, [LEFT, RIGHT]).any()
    assert (labels[5:15, 15:25, 20:35] == 1).all()


def test_an_empty_scan_has_no_regions() -> None:
    assert not segment_ct(
        np.full((4, 20, 20), -1000, dtype=np.int16), Grid.axial((4, 20, 20), (3.0, 2.0, 2.0))
    ).labels.any()


def test_pictures_and_grids_without_millimetres_are_refused() -> None:
    with pytest.raises(GeometryError, match="needs a volume in mm"):
        segment_ct(np.zeros((8, 8)), Grid.picture((8, 8)))


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 3)] * 3), st.integers(0, 99))
def test_block_means_are_means_of_blocks(shape: tuple, factors: tuple, seed: int) -> None:
    volume = np.random.default_rng(seed).integers(-1024, 2000, shape).astype(np.int16)
    out = block_mean(volume, factors)
    assert out.shape == tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
    first = volume[tuple(slice(f) for f in factors)]
    if first.shape == factors:
        assert out[0, 0, 0] == pytest.approx(first.mean(), abs=0.01)
