"""Label maps become regions that measure what they hold, on the patient's side."""

from __future__ import annotations

import numpy as np
import pytest

from radfoundry.errors import MismatchError
from radfoundry.geometry import Grid
from radfoundry.grounding.regions import LabelledImage, measure_regions
from radfoundry.grounding.segmenters import Classical, LabelsOnDisk, SegmentationRequest, name_labels
from radfoundry.records import MadeBy
from radfoundry.studies import MaskSource, discover

MADE_BY = MadeBy("test", "1")


def measure(labels: np.ndarray, names: dict[int, str]) -> dict[str, object]:
    grid = Grid.axial(labels.shape, (5.0, 2.0, 2.0))
    image = LabelledImage("img_x", np.where(labels > 0, 40, -1000).astype(np.int16), labels, grid, names, "set")
    return {r.name: r for r in measure_regions(image, MADE_BY)}


def body() -> np.ndarray:
    labels = np.zeros((4, 40, 60), np.uint8)
    labels[:, 5:35, 5:25] = 1  # the patient's right
    labels[:, 5:35, 35:55] = 2
    return labels


def test_a_region_measures_its_voxels() -> None:
    found = measure(body(), {1: "right lung", 2: "left lung"})
    right = found["right lung"]
    assert right.voxels == 4 * 30 * 20
    assert right.mm3 == 4 * 30 * 20 * 20.0
    assert right.box == (0, 5, 5, 4, 35, 25)
    assert right.mean == 40.0
    assert (right.side, found["left lung"].side) == ("right", "left")


@pytest.mark.parametrize(
    ("columns", "side"),
    [((40, 50), "left"), ((10, 20), "right"), ((28, 32), "midline"), ((10, 50), "bilateral"), ((27, 45), "left")],
)
def test_a_lesion_is_on_the_side_where_it_lies(columns, side) -> None:
    labels = body()
    labels[1:3, 10:20, columns[0] : columns[1]] = 3
    assert measure(labels, {1: "right lung", 2: "left lung", 3: "pleural effusion"})["pleural effusion"].side == side


def test_a_named_side_wins_over_a_place() -> None:
    """Situs inversus: the left kidney of a mirrored patient stays the left kidney."""
    found = measure(body()[:, :, ::-1], {1: "right kidney", 2: "left kidney"})
    assert found["left kidney"].side == "left"
    assert found["left kidney"].centroid[0] < found["right kidney"].centroid[0]


def test_image_and_labels_of_different_shape_are_refused() -> None:
    grid = Grid.axial((4, 4, 4), (1.0, 1.0, 1.0))
    image = LabelledImage("img_x", np.zeros((4, 4, 4)), np.zeros((4, 4, 5), np.uint8), grid, {1: "liver"}, "set")
    with pytest.raises(MismatchError, match="differ in shape"):
        measure_regions(image, MADE_BY)


def test_numbers_without_names_are_totalsegmentators_where_they_fit() -> None:
    assert name_labels(np.array([0, 5, 52]), {}) == {5: "liver", 52: "aorta"}
    assert name_labels(np.array([0, 23]), {}, "MR") == {23: "aorta"}
    with pytest.raises(MismatchError, match="have no names"):
        name_labels(np.array([0, 250]), {})


def test_a_mask_of_one_structure_without_a_name_is_not_called_the_spleen(shared_data, tmp_path) -> None:
    masks = sorted((shared_data / "cxr_notes" / "lung_masks").glob("*.png"))
    picture = next(p for p in (shared_data / "cxr_notes" / "images").iterdir() if masks[0].name.startswith(p.stem))
    study = discover(picture).studies[0]
    from radfoundry.studies import ImageSource, read_image

    read = read_image(study.images[0])
    source = MaskSource(0, ImageSource(masks[0], "raster"))
    with pytest.raises(MismatchError, match="one structure without a name"):
        LabelsOnDisk().segment(SegmentationRequest(read.pixels, read.grid, read.modality, (source,)))


def test_the_classical_segmenter_stays_away_from_what_is_known() -> None:
    grid = Grid.axial((4, 8, 8), (5.0, 5.0, 5.0))
    known = frozenset({"left lung upper lobe", "right lung", "trachea and bronchi", "left rib"})
    request = SegmentationRequest(np.zeros((4, 8, 8), np.int16), grid, "CT", (), known)
    assert Classical().segment(request) == []
    picture = SegmentationRequest(np.zeros((8, 8)), Grid.picture((8, 8)), "DX")
    assert Classical().segment(picture) == []
