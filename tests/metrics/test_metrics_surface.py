"""Masks and their surfaces: by hand, by laws, and against surface-distance and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import surface_distance as published
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from surface_distance import lookup_tables

from radfoundry.errors import MismatchError
from radfoundry.metrics import (
    ASSD,
    HD95,
    NSD,
    Dice,
    GridMask,
    MaskIoU,
    SegmentationScores,
    overlap,
    overlap_by_label,
    surface_distances,
)
from radfoundry.metrics.surface import Surface
from radfoundry.metrics.surfels import neighbour_codes, surfel_areas

SPACING = (2.5, 0.8, 1.1)
EMPTY = np.zeros((6, 7, 8), dtype=bool)
VOXEL = EMPTY.copy()
VOXEL[2, 3, 4] = True
# the oracle calls a scipy name that is about to go
oracle = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")
both_surfaces = pytest.mark.parametrize("surface", ["voxel", "surfel"])


def blob(seed: int, shape: tuple[int, ...] = (12, 24, 20)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 2) > 0.03


def box(z: slice, y: slice, x: slice) -> np.ndarray:
    mask = np.zeros((10, 12, 14), dtype=bool)
    mask[z, y, x] = True
    return mask


def reference_border(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


# --- overlap ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "true", "dice", "iou"),
    [
        (EMPTY, EMPTY, 1, 1),
        (EMPTY, VOXEL, 0, 0),
        (VOXEL, EMPTY, 0, 0),
        (VOXEL, VOXEL, 1, 1),
        (np.roll(VOXEL, 1, 2), VOXEL, 0, 0),  # touching
        (VOXEL | np.roll(VOXEL, 1, 2), VOXEL, 2 / 3, 1 / 2),
    ],
)
def test_worked_overlaps(said: np.ndarray, true: np.ndarray, dice: float, iou: float) -> None:
    assert overlap(said, true).dice == pytest.approx(dice)
    assert overlap(said, true).iou == pytest.approx(iou)


def test_probabilities_are_cut_above_the_threshold() -> None:
    metric = Dice(threshold=0.5)
    metric.update(np.array([0.5, 0.51, 0.9, 0.0]), np.array([0, 1, 1, 1]))
    assert metric.result().value == pytest.approx(2 * 2 / 5)


def test_infinite_logits_are_no_mask() -> None:
    """M3D-T39: what a model gives without [SEG] is minus infinity everywhere; that is an empty mask."""
    metric = Dice()
    metric.update(np.full((2, 2), -np.inf), np.zeros((2, 2)))
    metric.update(np.full((2, 2), -np.inf), np.ones((2, 2)))
    assert metric.per_sample() == [1.0, 0.0]


def test_a_mask_is_never_broadcast() -> None:
    """M3D-T5: a truth of shape (1, 1, 1, 1) stands for an absent class and must not be spread over the prediction."""
    with pytest.raises(MismatchError, match=r"mask of shape \(1, 4, 4, 4\) against \(1, 1, 1, 1\)"):
        overlap(np.ones((1, 4, 4, 4)), np.zeros((1, 1, 1, 1)))
    with pytest.raises(MismatchError, match="mask of shape"):
        surface_distances(np.ones((4, 4, 4)), np.ones((1, 1, 1)), (1, 1, 1))


def test_label_maps_are_counted_in_one_pass() -> None:
    said, true = np.array([[0, 1, 1], [2, 2, 0]]), np.array([[0, 1, 2], [2, 2, 0]])
    counted = overlap_by_label(said, true, [1, 2, 7])
    assert counted[1] == (2, 1, 1)
    assert counted[2] == (2, 3, 2)
    assert counted[7].dice == 1.0  # an absent class that nobody claims


@given(st.integers(0, 200), st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_dice_and_iou_tell_the_same(first: int, second: int) -> None:
    counted = overlap(blob(first, (4, 8, 8)), blob(second, (4, 8, 8)))
    assert counted.dice == pytest.approx(2 * counted.iou / (1 + counted.iou))


# --- areas -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (0.3, 9.0, 2.0), (1.0, 1.37, 2.11)])
def test_areas_equal_the_published_table_for_all_256_neighbourhoods(spacing: tuple[float, float, float]) -> None:
    table = lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    bits = np.array(lookup_tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL).ravel().astype(int)
    for code in range(256):
        their_code = int(sum(bits[bit] for bit in range(8) if code >> bit & 1))
        assert surfel_areas(spacing)[code] == pytest.approx(table[their_code], abs=1e-12)


def test_lengths_equal_the_published_table_in_pictures() -> None:
    table = lookup_tables.create_table_neighbour_code_to_contour_length((1.0, 2.5))
    bits = np.array(lookup_tables.ENCODE_NEIGHBOURHOOD_2D_KERNEL).ravel().astype(int)
    for code in range(16):
        their_code = int(sum(bits[bit] for bit in range(4) if code >> bit & 1))
        assert surfel_areas((1.0, 2.5))[code] == pytest.approx(table[their_code])


def test_the_area_of_a_large_box_is_near_that_of_its_faces() -> None:
    mask = np.pad(np.ones((30, 40, 50), dtype=bool), 1)
    area = surfel_areas(SPACING)[neighbour_codes(mask)].sum()
    a, b, c = np.multiply((30, 40, 50), SPACING)
    assert area == pytest.approx(2 * (a * b + b * c + a * c), rel=0.03)


# --- distances -------------------------------------------------------------------------------------------------------


@both_surfaces
def test_equal_masks_have_no_distance(surface: Surface) -> None:
    measured = surface_distances(blob(1), blob(1), SPACING, surface)
    assert measured.hausdorff_mm() == measured.hausdorff_mm(95) == measured.mean_mm() == 0
    assert measured.within(0) == 1


@both_surfaces
@pytest.mark.parametrize(("axis", "step"), [(0, 1), (1, 2), (2, 3)])
def test_a_single_voxel_moved_by_a_known_way(surface: Surface, axis: int, step: int) -> None:
    measured = surface_distances(np.roll(VOXEL, step, axis), VOXEL, SPACING, surface)
    way = step * SPACING[axis]
    if surface == "voxel":
        assert measured.hausdorff_mm() == measured.mean_mm() == pytest.approx(way, rel=1e-6)
    else:  # eight corners around the voxel: the far ones go the whole way, the near ones less
        assert measured.hausdorff_mm() == pytest.approx(way if step > 1 else SPACING[axis], rel=1e-6)
        assert measured.mean_mm() < way


def test_touching_boxes_are_as_far_as_their_far_faces() -> None:
    first, second = box(slice(2, 4), slice(2, 4), slice(2, 4)), box(slice(2, 4), slice(2, 4), slice(4, 6))
    assert surface_distances(first, second, (1, 1, 1)).hausdorff_mm() == 2
    assert surface_distances(first, second, (1, 1, 1)).mean_mm() == 1.5  # half of the voxels are 1 away, half 2


def test_a_box_moved_by_two_voxels_has_the_worked_surface_dice() -> None:
    first = box(slice(2, 5), slice(2, 5), slice(2, 5))
    moved = np.roll(first, 2, axis=2)
    measured = surface_distances(moved, first, (1.0, 1.0, 1.0))
    # 26 border voxels each; from the moved box those at x = 4 (8 of 9, without its middle) are on the other's border,
    # its x = 5 layer is 1 away, x = 6 is 2 away
    assert measured.hausdorff_mm() == 2
    assert measured.within(0) == pytest.approx(18 / 52)
    assert measured.within(1) == pytest.approx(34 / 52)
    assert measured.within(2) == 1


@oracle
@pytest.mark.parametrize("seed", range(6))
def test_surfels_equal_the_surface_distance_package(seed: int) -> None:
    first = blob(seed)
    second = blob(seed + 50) if seed % 2 else np.roll(first, 2, axis=0)
    theirs = published.compute_surface_distances(second, first, SPACING)
    ours = surface_distances(first, second, SPACING, "surfel")
    assert ours.hausdorff_mm(95) == pytest.approx(published.compute_robust_hausdorff(theirs, 95), rel=1e-5)
    assert ours.hausdorff_mm() == pytest.approx(published.compute_robust_hausdorff(theirs, 100), rel=1e-5)
    assert ours.within(1.0) == pytest.approx(published.compute_surface_dice_at_tolerance(theirs, 1.0), abs=1e-9)
    true_to_said, said_to_true = published.compute_average_surface_distance(theirs)
    mine = np.average(ours.predicted_mm, weights=ours.predicted_weight)
    assert mine == pytest.approx(said_to_true, rel=1e-5)
    assert np.average(ours.true_mm, weights=ours.true_weight) == pytest.approx(true_to_said, rel=1e-5)


@oracle
@pytest.mark.parametrize("seed", range(4))
def test_surfels_equal_the_surface_distance_package_in_pictures(seed: int) -> None:
    first, second = blob(seed, (40, 50)), blob(seed + 9, (40, 50))
    theirs = published.compute_surface_distances(second, first, (0.4, 0.7))
    ours = surface_distances(first, second, (0.4, 0.7), "surfel")
    assert ours.hausdorff_mm(95) == pytest.approx(published.compute_robust_hausdorff(theirs, 95), rel=1e-5)
    assert ours.within(1.0) == pytest.approx(published.compute_surface_dice_at_tolerance(theirs, 1.0), abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_voxel_borders_equal_scipy_by_brute_force(seed: int) -> None:
    """The definition of MONAI: border by erosion, percentiles of both directions, the larger one."""
    first, second = blob(seed), blob(seed + 30)
    a, b = (np.argwhere(reference_border(mask)) * SPACING for mask in (first, second))
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    there, back = apart.min(1), apart.min(0)
    ours = surface_distances(first, second, SPACING, "voxel")
    assert ours.hausdorff_mm(95) == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-5)
    assert ours.mean_mm() == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-5)
    near = (there <= 1.7).sum() + (back <= 1.7).sum()
    assert ours.within(1.7) == pytest.approx(near / (len(there) + len(back)))


@both_surfaces
def test_a_mask_at_the_edge_of_the_picture_has_a_surface_there(surface: Surface) -> None:
    full = np.ones((4, 4, 4), dtype=bool)
    measured = surface_distances(full, full, (1, 1, 1), surface)
    assert len(measured.predicted_mm) == (56 if surface == "voxel" else 98)


@both_surfaces
def test_without_a_surface_there_is_no_distance(surface: Surface) -> None:
    one, none = (surface_distances(EMPTY, true, SPACING, surface) for true in (VOXEL, EMPTY))
    assert one.hausdorff_mm() == one.mean_mm() == np.inf
    assert one.within(100) == 0
    assert np.isnan([none.hausdorff_mm(), none.mean_mm(), none.within(100)]).all()


@both_surfaces
def test_the_order_of_the_masks_does_not_matter(surface: Surface) -> None:
    there, back = (surface_distances(*pair, SPACING, surface) for pair in [(blob(3), blob(4)), (blob(4), blob(3))])
    assert there.hausdorff_mm(95) == back.hausdorff_mm(95)
    assert there.mean_mm() == pytest.approx(back.mean_mm())
    assert there.within(1) == pytest.approx(back.within(1))


# --- metrics over samples --------------------------------------------------------------------------------------------


def test_both_empty_and_one_empty_are_told_apart() -> None:
    hd, nsd = HD95(), NSD()
    truth = GridMask(VOXEL, (1, 1, 1))
    for metric in (hd, nsd):
        metric.update(VOXEL, truth)
        metric.update(EMPTY, GridMask(EMPTY, (1, 1, 1)))
        metric.update(EMPTY, truth)
    diagonal = np.sqrt(6**2 + 7**2 + 8**2)
    assert hd.per_sample() == [0.0, None, pytest.approx(diagonal)]
    assert nsd.per_sample() == [1.0, 1.0, 0.0]
    assert hd.result().n == 2
    assert hd.result().note == "1 both empty; 1 one empty; 1 undefined"


def test_a_missing_mask_is_as_bad_as_the_grid_allows() -> None:
    metric = ASSD()
    metric.update(None, GridMask(EMPTY, (1, 1, 1)))
    assert metric.result().value == pytest.approx(np.sqrt(6**2 + 7**2 + 8**2))


@both_surfaces
def test_the_set_measures_what_the_single_metrics_measure(surface: Surface) -> None:
    together = SegmentationScores(surface, tolerance_mm=1.0)
    alone = [Dice(), MaskIoU(), HD95(surface), ASSD(surface), NSD(surface, 1.0)]
    samples = [(blob(1), blob(2)), (EMPTY, EMPTY), (None, VOXEL), (EMPTY, VOXEL), (blob(5), blob(5))]
    for said, true in samples:
        together.update(said, GridMask(true, SPACING), patient="p")
        for metric in alone:
            metric.update(said, true if isinstance(metric, Dice) else GridMask(true, SPACING), patient="p")  # type: ignore[arg-type]
    assert together.results() == {metric.name: metric.result() for metric in alone}


def test_sets_merge() -> None:
    one, two = SegmentationScores(), SegmentationScores()
    one.update(VOXEL, GridMask(VOXEL, SPACING), patient="p")
    two.update(EMPTY, GridMask(VOXEL, SPACING), patient="q")
    assert one.merge(two).results()["Dice"].value == 0.5


def test_the_surface_is_part_of_the_name() -> None:
    assert HD95().name == "HD95 mm, voxel surface"
    assert NSD("surfel", 2).name == "NSD at 2 mm, surfel surface"
