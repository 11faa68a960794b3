"""Four readers' outlines: volumes, consensus and matching as the READMEs of the two LIDC folders give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radfoundry.errors import LimitError, UnreadableError
from radfoundry.geometry import Grid
from radfoundry.studies import Limits, discover, read_image
from radfoundry.studies.dicom_image import instance_slices
from radfoundry.studies.lidc import Nodule, Outline, consensus, match_readers, read_lidc, reader_masks

# nodule -> each reader's mL and ">= k readers" mL, both rules (ct_chest/README.md)
CHEST = {
    "in": [
        ([5.654, 5.047, 6.090, 11.443], [11.557, 6.386, 5.516, 4.774]),
        ([0.533, 0.370, 0.661, 0.703], [0.789, 0.639, 0.511, 0.328]),
        ([1.433, 1.272, 1.553, 1.748], [1.928, 1.529, 1.385, 1.164]),
        ([5.213], [5.213, 0.0]),
    ],
    "out": [
        ([4.746, 4.228, 5.234, 9.814], [9.949, 5.452, 4.657, 3.963]),
        ([0.355, 0.261, 0.463, 0.478], [0.555, 0.439, 0.343, 0.219]),
        ([1.107, 0.961, 1.225, 1.285], [1.459, 1.184, 1.065, 0.870]),
        ([4.276], [4.276, 0.0]),
    ],
}
CENTROIDS = [(72.5, 77.2, -190.4), (23.5, -47.6, -172.3), (-47.2, -30.0, -169.5), (73.9, 74.5, -213.1)]


@pytest.fixture(scope="module")
def chest(shared_data: Path) -> tuple[Grid, dict[str, int], list[Nodule]]:
    folder = shared_data / "ct_chest"
    source = discover(folder / "LIDC-IDRI-0003_full.zip").studies[0].images[0]
    return read_image(source).grid, instance_slices(source), read_lidc(folder / "LIDC-IDRI-0003_annotations.xml.gz")


@pytest.mark.parametrize("rule", ["in", "out"])
def test_nodules_of_a_whole_chest_have_the_volumes_of_the_readme(chest: tuple, rule: str) -> None:
    grid, slices, nodules = chest
    groups = match_readers(reader_masks(nodules, grid, slices, rule))  # type: ignore[arg-type]
    found = [[round(m.volume_ml(grid), 3) for m in group] for group in groups]
    agreed = [
        [round(consensus(g, k)[1].sum() * grid.voxel_mm3 / 1000, 3) for k in range(1, len(a) + 1)]
        for g, (_, a) in zip(groups, CHEST[rule], strict=True)
    ]
    assert found == [volumes for volumes, _ in CHEST[rule]]
    assert agreed == [a for _, a in CHEST[rule]]


def test_nodules_lie_where_the_readme_says(chest: tuple) -> None:
    grid, slices, nodules = chest
    for group, expected in zip(match_readers(reader_masks(nodules, grid, slices, "in")), CENTROIDS, strict=True):
        box, mask = consensus(group, min(2, len(group)))
        centroid = grid.to_world(np.argwhere(mask).mean(axis=0) + box.start)
        assert np.allclose(centroid, expected, atol=0.1)


def test_readers_sessions_and_ratings_are_kept(chest: tuple) -> None:
    _, _, nodules = chest
    assert [sum(n.reader == r for n in nodules) for r in range(4)] == [3, 3, 3, 4]
    assert not any(n.is_point for n in nodules)
    assert sorted(n.ratings["malignancy"] for n in nodules) == [2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5]


@pytest.mark.parametrize(
    ("patient", "each", "agreed"),
    [
        ("0001", [7.298, 5.701, 6.124, 6.795], [8.092, 6.709, 5.947, 5.171]),
        ("0003", [4.746, 4.228, 5.234, 9.814], [9.949, 5.452, 4.657, 3.963]),
        ("0002", [0.631, 0.658], [0.747, 0.541]),
    ],
)
def test_slabs_have_the_volumes_of_the_readme(
    shared_data: Path, patient: str, each: list[float], agreed: list[float]
) -> None:
    folder = shared_data / "ct_lidc"
    source = discover(folder / f"LIDC-IDRI-{patient}.zip").studies[0].images[0]
    grid = read_image(source).grid
    masks = reader_masks(
        read_lidc(folder / f"LIDC-IDRI-{patient}_annotations.xml.gz"), grid, instance_slices(source), "out"
    )
    (group,) = match_readers(masks)
    assert [round(m.volume_ml(grid), 3) for m in group] == each
    assert [round(consensus(group, k)[1].sum() * grid.voxel_mm3 / 1000, 3) for k in range(1, len(agreed) + 1)] == agreed
    if patient == "0002":
        assert [m.missing for m in group] == [23, 16]


def square(*, inclusion: bool = True, low: int = 2, high: int = 8) -> Outline:
    return Outline("1", 0.0, ((low, low), (high, low), (high, high), (low, high)), inclusion)


GRID = Grid.axial((1, 12, 12), (1, 1, 1))


@pytest.mark.parametrize(("rule", "count"), [("in", 49), ("out", 25)])
def test_the_rule_says_whether_the_contour_belongs(rule: str, count: int) -> None:
    (mask,) = reader_masks([Nodule(0, "a", (square(),))], GRID, {"1": 0}, rule)  # type: ignore[arg-type]
    assert mask.mask.sum() == count


@pytest.mark.parametrize(("rule", "count"), [("in", 49 - 1), ("out", 25 - 9)])
def test_an_exclusion_cuts_a_hole(rule: str, count: int) -> None:
    nodule = Nodule(0, "a", (square(inclusion=False, low=4, high=6), square()))
    (mask,) = reader_masks([nodule], GRID, {"1": 0}, rule)  # type: ignore[arg-type]
    assert mask.mask.sum() == count


def test_a_point_has_no_mask() -> None:
    point = Nodule(0, "a", (Outline("1", 0.0, ((3, 3),), True),))
    assert point.is_point
    assert reader_masks([point], GRID, {"1": 0}, "in") == []


def test_two_nodules_of_one_reader_are_never_one() -> None:
    masks = reader_masks([Nodule(0, "a", (square(),)), Nodule(0, "b", (square(),))], GRID, {"1": 0}, "in")
    assert [len(group) for group in match_readers(masks)] == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "<LidcReadMessage/>",
        "<a><readingSession><unblindedReadNodule><roi><edgeMap><xCoord>x</xCoord></edgeMap></roi></unblindedReadNodule></readingSession></a>",
        "<a><readingSession>",
        "",
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(UnreadableError):
        read_lidc(tmp_path / "a.xml")


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]><a>&y;</a>'
    (tmp_path / "a.xml").write_text(bomb)
    with pytest.raises(UnreadableError, match="declares a document type"):
        read_lidc(tmp_path / "a.xml")


def test_a_packed_bomb_stops_at_its_bound(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "a.xml.gz").write_bytes(gzip.compress(b"<a>" + b" " * 5_000_000 + b"</a>"))
    with pytest.raises(LimitError, match="xml_bytes"):
        read_lidc(tmp_path / "a.xml.gz", Limits(xml_bytes=1_000_000))
