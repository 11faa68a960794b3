"""A label map written as DICOM SEG lies where it lay, read by another library, in all orientations."""

from __future__ import annotations

import io
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from radfoundry.geometry import Grid, Orientation
from radfoundry.serving.dicom_seg import write_seg
from radfoundry.serving.refusals import Refusal
from radfoundry.studies import ImageSource, Limits
from radfoundry.studies.dicom_seg import read_dicom_seg

highdicom = pytest.importorskip("highdicom", reason="highdicom is in the extra dicom")

NAMES = {1: "liver", 4: "left kidney"}


def labels() -> np.ndarray:
    array = np.zeros((4, 5, 6), np.uint8)
    array[0, 1:3, 2:5] = 1
    array[1, 1, 2] = 1
    array[3, 0, 5] = 4
    return array


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles)):
        turn = np.eye(3)
        a, b = [i for i in range(3) if i != axis]
        turn[[a, b], [a, b]] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def places(array: np.ndarray, affine: np.ndarray) -> dict[int, set[tuple[float, ...]]]:
    """Label -> the places of its samples in mm; affine maps the array's own indices."""
    found = {}
    for value in np.unique(array[array > 0]):
        index = np.argwhere(array == value)
        world = index @ affine[:3, :3].T + affine[:3, 3]
        found[int(value)] = {tuple(float(v) for v in row) for row in np.round(world, 2) + 0.0}
    return found


def own_places(array: np.ndarray, grid: Grid) -> dict[int, set[tuple[float, ...]]]:
    return {
        int(v): {tuple(float(x) for x in row) for row in np.round(grid.to_world(np.argwhere(array == v)), 2) + 0.0}
        for v in np.unique(array[array > 0])
    }


ALL_48 = [(order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)]
TILTS = [(0.0, 0.0, 0.0), (12.0, -7.0, 25.0)]


@pytest.mark.parametrize("tilt", TILTS)
def test_all_orientations_come_back_to_the_same_places(tilt: tuple[float, float, float], tmp_path: Path) -> None:
    assert len(ALL_48) == 48
    for order, signs in ALL_48:
        axes = rotation(tilt) @ (np.eye(3)[:, list(order)] * signs)
        grid = Grid((4, 5, 6), (2.5, 0.75, 0.5), (-100.25, 33.5, 7.0), tuple(axes.ravel()))
        truth = own_places(labels(), grid)
        data = write_seg(labels(), grid, NAMES)
        seg = highdicom.seg.segread(io.BytesIO(data))
        volume = seg.get_volume(combine_segments=True, allow_missing_positions=True)
        read = {1: 1, 2: 4}
        seen = {read[k]: v for k, v in places(np.asarray(volume.array), np.asarray(volume.affine)).items()}
        assert seen == truth, (order, signs)
        if signs != (1.0, 1.0, -1.0):
            continue  # our own reader has its own tests
        path = tmp_path / "seg.dcm"
        path.write_bytes(data)
        (layer,) = read_dicom_seg(ImageSource(path, "dicom-seg"), Limits())
        assert {read[k]: v for k, v in own_places(layer.array, layer.grid).items()} == truth, (order, signs)


def test_a_canonical_mask_goes_back_onto_the_frames_it_came_from() -> None:
    grid = Grid((4, 5, 6), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    way = Orientation.of(grid)
    canonical = way.apply(labels())
    assert own_places(canonical, way.apply_grid(grid)) == own_places(way.invert(canonical), grid)


def test_segments_carry_the_names_of_their_regions() -> None:
    grid = Grid.axial((4, 5, 6), (1, 1, 1))
    seg = highdicom.seg.segread(io.BytesIO(write_seg(labels(), grid, NAMES)))
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["liver", "left kidney"]
    assert seg.SeriesDescription == "Research use only"


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(Refusal, match="404"):
        write_seg(np.zeros((2, 2, 2), np.uint8), Grid.axial((2, 2, 2), (1, 1, 1)), NAMES)
