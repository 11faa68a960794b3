"""Questions about regions: names, containment, sides."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.anatomy import (
    Region,
    ancestors,
    children,
    descendants,
    describe,
    is_a,
    mirror,
    normalise,
    region,
    regions,
    side_of,
)
from radfoundry.errors import UsageError

any_region = st.sampled_from(regions())


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("left kidney", "left kidney"),
        ("Left Kidney", "left kidney"),
        ("kidney_left", "left kidney"),
        ("  kidneys ", "kidney"),
        ("T5", "thoracic vertebrae 5 (t5)"),
        ("vertebrae_T5", "thoracic vertebrae 5 (t5)"),
        ("left 4th rib", "left rib 4"),
        ("rib_left_4", "left rib 4"),
        ("oesophagus", "esophagus"),
        ("RUL", "right lung upper lobe"),
        ("upper lobe of the left lung", "left lung upper lobe"),
        ("left costophrenic sulcus", "left costophrenic angle"),
        ("4R", "right lymph node station 4"),
        ("subcarinal lymph nodes", "lymph node station 7"),
        ("head_of_femur_left", "head of left femur"),
        ("IVC", "inferior vena cava"),
    ],
)
def test_a_region_is_found_by_its_names(said: str, name: str) -> None:
    assert region(said).name == name


def test_an_unknown_name_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(UsageError, match="did you mean 'left kidney'"):
        region("left kidny")


def test_a_name_like_nothing_points_to_the_list() -> None:
    with pytest.raises(UsageError, match="radfoundry info anatomy"):
        region("qqzzqq")


def test_a_region_stands_for_itself() -> None:
    liver = region("liver")
    assert region(liver) is liver
    assert str(liver) == "liver"


def test_the_nearest_ancestors_come_first() -> None:
    assert [str(one) for one in ancestors("left lung lingula")][:2] == ["left lung upper lobe", "lung upper lobe"]
    assert str(ancestors("left lung lingula")[-1]) == "body"


def test_children_are_direct_and_descendants_are_all() -> None:
    assert region("left lung lower lobe") in children("left lung")
    assert region("left lung lingula") not in children("left lung")
    assert region("left lung lingula") in descendants("left lung")
    assert children("left lung lingula")[0] in descendants("lung")


def test_what_has_nothing_in_it_has_no_children() -> None:
    assert children("left rib 4") == descendants("left rib 4") == ()


def test_ancestors_and_descendants_are_each_others_inverse() -> None:
    for one in regions():
        assert all(one in descendants(above) for above in ancestors(one))
        assert one not in ancestors(one)


def test_everything_is_a_kind_of_itself_and_of_its_ancestors() -> None:
    for one in regions():
        assert is_a(one, one)
        assert all(is_a(one, above) and not is_a(above, one) for above in ancestors(one))


@given(any_region)
def test_mirror_is_an_involution(one: Region) -> None:
    other = mirror(one)
    if other is not None:
        assert mirror(other) == one


def test_mirror_swaps_the_sides_and_leaves_the_rest() -> None:
    for one in regions():
        other = mirror(one)
        if other is None:
            assert one.side in ("left", "right")
        else:
            assert other.side == {"left": "right", "right": "left"}.get(one.side, one.side)


def test_mirror_keeps_containment() -> None:
    """The mirror of a part lies in the mirror of the whole, wherever both have one."""
    for one in regions():
        here = mirror(one)
        for above in ancestors(one):
            there = mirror(above)
            if here is not None and there is not None:
                assert is_a(here, there), f"{one} < {above}, but {here} is not in {there}"


@given(any_region, st.sampled_from(("upper", "title", "_")))
def test_case_and_underscores_do_not_matter(one: Region, how: str) -> None:
    for name in (one.name, *one.synonyms):
        written = name.replace(" ", "_") if how == "_" else getattr(name, how)()
        assert region(written) == one


@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    if once.split()[-1:] not in (["left"], ["right"]):
        assert normalise(once) == once


def test_the_middle_lobe_and_the_lingula_have_no_mirror() -> None:
    assert mirror("right middle lobe") is None
    assert mirror("lingula") is None


def test_an_unsided_region_is_its_own_mirror() -> None:
    assert mirror("liver") == region("liver")


def test_rg_t20_lingula_is_in_the_left_upper_lobe_and_the_middle_lobe_in_the_right_lung() -> None:
    assert is_a("lingular segment", "left lung upper lobe")
    assert side_of("lingula") == "left"
    assert is_a("middle lobe", "right lung")
    assert not is_a("middle lobe", "lung upper lobe")
    assert not is_a("middle lobe", "lung lower lobe")


def test_rg_t19_the_lower_lobes_of_both_lungs_are_one_region_with_two_sides() -> None:
    both = region("both lower lobes")
    assert both.side == "bilateral"
    assert {"left lung lower lobe", "right lung lower lobe"} <= {str(one) for one in children(both)}


def test_rg_t6_pericardium_and_pleura_are_not_the_heart_or_the_lung() -> None:
    assert not is_a("pericardial effusion", "lung")
    assert not is_a("pleural effusion", "lung")
    assert is_a("pleural effusion", "pleura")


def test_rg_t10_mediastinal_node_stations_lie_in_the_mediastinum_and_axillary_nodes_do_not() -> None:
    for station in ("prevascular", "2r", "4l", "subcarinal lymph nodes", "aortopulmonary lymph nodes", "station 8"):
        assert is_a(station, "mediastinum"), station
    assert not is_a("axillary lymph nodes", "mediastinum")
    assert not is_a("hilar lymph nodes", "mediastinum")


def test_rg_t2_the_thoracic_aorta_is_in_the_mediastinum_and_not_in_the_abdomen() -> None:
    assert is_a("ascending aorta", "mediastinum")
    assert not is_a("thoracic aorta", "abdomen")
    assert is_a("abdominal aorta", "abdomen")


@pytest.mark.parametrize(
    "name",
    [
        "pericardium", "diaphragm", "chest wall", "axilla", "lung hilum", "lymph node station 4", "lung segment",
        "lingula", "major fissure", "minor fissure", "pleura", "anterior mediastinum", "middle mediastinum",
        "posterior mediastinum", "left costophrenic angle", "lung apex", "cardiac silhouette", "hila",
        "left hemidiaphragm", "left upper lung zone", "right mid lung zone", "right lower lung zone",
    ],
)  # fmt: skip
def test_what_published_label_sets_lack_is_here(name: str) -> None:
    assert region(name)


def test_eighteen_lung_segments_by_name() -> None:
    named = children("lung segment")
    assert sum(one.side == "right" for one in named) == 10
    assert sum(one.side == "left" for one in named) == 8
    assert region("left s4").name == "left lung superior lingular segment"


def test_fourteen_lymph_node_stations_by_number() -> None:
    for station in ("1", "2", "3a", "3p", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14"):
        assert region(f"lymph node station {station}").kind == "lymph node"


def test_the_summary_counts_the_table() -> None:
    told = describe()
    assert told["regions"] == len(regions()) >= 197
    assert set(told["crosswalks"]) >= {"totalsegmentator_v2", "radgenome_paths", "m3d_seg"}  # type: ignore[arg-type]


def test_importing_the_room_is_quick_and_loads_no_arrays() -> None:
    """Timed after the standard library's own modules, whose cost is the machine's; the best of three children."""
    code = (
        "import time, sys, dataclasses, pathlib, typing, difflib; start = time.perf_counter()\n"
        "import radfoundry.anatomy; spent = time.perf_counter() - start\n"
        "heavy = {'numpy', 'pyarrow', 'torch', 'pydicom', 'nibabel'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(spent)"
    )
    spent = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in "123"]
    assert min(spent) < 0.050
