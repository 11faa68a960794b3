"""Other vocabularies: their labels resolve, the way back gives their words, and what is not one to one is stated."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import get_args

import pytest

from radfoundry.anatomy import crosswalk, is_a, region, vocabularies
from radfoundry.anatomy.crosswalk import FOLDER, Relation
from radfoundry.errors import UsageError

SIZES = {
    "totalsegmentator_v2": 117,
    "totalsegmentator_mr": 50,
    "radgenome_paths": 174,
    "radgenome_masks": 210,
    "m3d_seg": 347,
}


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    with path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


@pytest.fixture(scope="module")
def radgenome_rows(shared_data: Path) -> list[dict[str, str]]:
    return _rows(shared_data.parent / "specs" / "radgenome_regions.tsv")


@pytest.fixture(scope="module")
def m3d_rows(shared_data: Path) -> list[dict[str, str]]:
    return _rows(shared_data.parent / "golden" / "m3d" / "seg_labels.tsv")


def test_the_crosswalks_are_those_promised_and_of_their_size() -> None:
    assert {name: len(crosswalk(name).mappings) for name in vocabularies()} == SIZES


@pytest.mark.parametrize("vocabulary", SIZES)
def test_a_crosswalk_names_canonical_regions_known_relations_and_each_value_once(vocabulary: str) -> None:
    rows = _rows(FOLDER / f"{vocabulary}.tsv")
    assert all(region(row["region"]).name == row["region"] for row in rows)
    assert all(row["relation"] in get_args(Relation) for row in rows)
    values = [row["value"] for row in rows if row["value"]]
    assert len(values) == len(set(values))


@pytest.mark.parametrize("vocabulary", SIZES)
def test_what_is_not_one_to_one_says_why(vocabulary: str) -> None:
    for row in crosswalk(vocabulary).mappings:
        assert row.relation == "exact" or row.note, row.name


@pytest.mark.parametrize("vocabulary", SIZES)
def test_a_name_that_means_several_regions_has_a_row_of_its_own(vocabulary: str) -> None:
    rows = crosswalk(vocabulary).mappings
    meanings: dict[str, set[str]] = {}
    for row in rows:
        meanings.setdefault(row.name, set()).add(row.region.name)
    own = {row.name for row in rows if not row.value}
    assert [name for name, ours in meanings.items() if len(ours) > 1 and name not in own] == []


@pytest.mark.parametrize("vocabulary", SIZES)
def test_every_value_resolves_to_its_row_and_back(vocabulary: str) -> None:
    walk = crosswalk(vocabulary)
    for row in walk.mappings:
        if row.value:
            assert walk.find(row.value) == row
            assert row.value in walk.values_of(row.region)
        assert row.name in walk.names_of(walk.find(row.value or row.name).region)


def test_totalsegmentator_numbers_run_from_1_without_a_gap() -> None:
    for vocabulary, last in (("totalsegmentator_v2", 117), ("totalsegmentator_mr", 50)):
        assert [int(row.value) for row in crosswalk(vocabulary).mappings] == list(range(1, last + 1))


def test_totalsegmentator_is_one_to_one_except_where_stated() -> None:
    rows = crosswalk("totalsegmentator_v2").mappings
    assert len({row.region.name for row in rows}) == 117
    assert {row.name: row.relation for row in rows if row.relation != "exact"} == {
        "small_bowel": "broader",
        "colon": "narrower",
        "sacrum": "broader",
        "portal_vein_and_splenic_vein": "union",
    }


def test_totalsegmentator_labels_are_found_by_number_name_or_text() -> None:
    walk = crosswalk("totalsegmentator_v2")
    assert walk.region_of(3) == walk.region_of("3") == walk.region_of("kidney_left") == region("left kidney")
    assert walk.names_of("left auricle of heart") == ("atrial_appendage_left",)
    assert walk.values_of("thoracic vertebrae 5 (t5)") == ("39",)


def test_the_two_totalsegmentator_numberings_differ() -> None:
    """The MR task has the aorta at 23, where the CT task has a cyst of the left kidney."""
    assert crosswalk("totalsegmentator_mr").region_of(23).name == "aorta"
    assert crosswalk("totalsegmentator_v2").region_of(23).name == "left kidney cyst"
    assert crosswalk("totalsegmentator_v2").region_of(52).name == "aorta"


def test_totalsegmentator_numbers_are_those_of_real_label_files(shared_data: Path) -> None:
    facts = json.loads((shared_data / "ct_totalseg" / "label_facts.json").read_text())
    seen = 0
    for pair, labels in facts.items():
        walk = crosswalk("totalsegmentator_mr" if "_mr_" in pair else "totalsegmentator_v2")
        for name, fact in labels.items():
            assert walk.find(fact["label"]).name == name
            seen += 1
    assert seen == 41 + 40 + 61 + 23 + 31


def test_all_radgenome_paths_resolve(radgenome_rows: list[dict[str, str]]) -> None:
    paths = [row for row in radgenome_rows if row["row_type"] == "path"]
    walk = crosswalk("radgenome_paths")
    assert [row.value for row in walk.mappings] == [row["path_or_name"] for row in paths]
    assert all(walk.find(row["path_or_name"]).name == row["node"] for row in paths)


def test_all_radgenome_masks_resolve(radgenome_rows: list[dict[str, str]]) -> None:
    files = {row["mask_file"]: row["node"] for row in radgenome_rows if "anatomy" in row["mask_exists"]}
    walk = crosswalk("radgenome_masks")
    assert {row.value: row.name for row in walk.mappings} == files
    assert len(files) == 210


def test_regions_are_called_as_in_radgenome_where_it_has_a_name() -> None:
    rows = (*crosswalk("radgenome_paths").mappings, *crosswalk("radgenome_masks").mappings)
    assert {row.name: row.region.name for row in rows if row.name != row.region.name} == {
        "trachea and bronchie": "trachea and bronchi",
        "bronchie": "bronchi",
        "thyroid gland": "thyroid",
        "others": "body",
        "rib cartilage": "costal cartilage",
        "lung effusion": "pleural effusion",
    }


def test_rg_t33_the_misspelt_airway_is_kept_on_their_side_only() -> None:
    walk = crosswalk("radgenome_paths")
    assert walk.names_of("trachea and bronchi") == ("trachea and bronchie",)
    assert walk.region_of("trachea and bronchie/bronchie").name == "bronchi"
    with pytest.raises(UsageError, match="no region is called"):
        region("trachea and bronchie")


def test_rg_t18_twin_paths_are_one_region() -> None:
    walk = crosswalk("radgenome_paths")
    assert walk.values_of("left lung lower lobe") == (
        "lung/lung/left lung/left lung lower lobe",
        "lung/lung/lung lower lobe/left lung lower lobe",
    )
    assert walk.values_of("aorta") == ("abdomen/abdomen/aorta", "mediastinum/aorta")
    assert set(walk.values_of("left rib 4")) == {"bone/bone/rib/left rib/left rib 4", "bone/bone/rib/rib 4/left rib 4"}


def test_radgenome_parents_contain_their_children_here_too() -> None:
    """What their tree says of containment holds in our graph, but for what it files by custom."""
    walk = crosswalk("radgenome_paths")
    broken = set()
    for row in walk.mappings:
        above = row.value.rpartition("/")[0]
        if above and not is_a(row.region, walk.region_of(above)):
            broken.add((row.region.name, walk.region_of(above).name))
    assert broken == {
        ("aorta", "abdomen"),  # runs through both: its parts are filed
        ("aorta", "mediastinum"),
        ("heart ascending aorta", "heart"),
    }


def test_all_m3d_labels_resolve_by_code_and_by_name(m3d_rows: list[dict[str, str]]) -> None:
    walk = crosswalk("m3d_seg")
    assert len(m3d_rows) == 340
    assert len({row["name"] for row in m3d_rows}) == 222
    for row in m3d_rows:
        assert walk.find(f"{row['code']}/{row['index']}").name == row["name"]
        assert walk.region_of(row["name"])


def test_m3d_t6_the_second_l1_of_the_spine_sets_is_l2() -> None:
    walk = crosswalk("m3d_seg")
    for code in ("0014", "0015"):
        assert walk.region_of(f"{code}/19").name == "lumbar vertebrae 1 (l1)"
        assert walk.region_of(f"{code}/20").name == "lumbar vertebrae 2 (l2)"
        assert walk.region_of(f"{code}/24").name == "lumbar vertebrae 6 (l6)"
    assert walk.region_of("lumbar spine L1").name == "lumbar vertebrae 1 (l1)"
    assert walk.region_of("lumbar spine L2").name == "lumbar vertebrae 2 (l2)"


def test_a_bare_tumor_is_of_the_organ_of_its_m3d_set() -> None:
    walk = crosswalk("m3d_seg")
    assert walk.region_of("0005/3").name == "kidney tumor"
    assert walk.region_of("0022/1").name == "pancreas tumor"
    assert walk.region_of("tumor").name == walk.region_of("tumour").name == "tumor"


def test_spelling_variants_of_m3d_are_one_region() -> None:
    walk = crosswalk("m3d_seg")
    assert {walk.region_of(name).name for name in ("liver cyst", "liver kyst", "liver kyste")} == {"liver cyst"}
    assert walk.region_of("postcava").name == "inferior vena cava"


def test_all_regions_of_the_medtrinity_vocabulary_resolve(shared_data: Path) -> None:
    vocabulary = json.loads((shared_data / "medtrinity" / "vocabulary.json").read_text())
    for names in vocabulary["regions"].values():
        assert all(region(name) for name in names)


def test_a_region_that_they_lack_has_no_names() -> None:
    assert crosswalk("totalsegmentator_v2").names_of("pericardium") == ()
    assert crosswalk("totalsegmentator_v2").values_of("pericardium") == ()


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(UsageError, match="totalsegmentator_v2 has no label 118"):
        crosswalk("totalsegmentator_v2").region_of(118)


def test_an_unknown_vocabulary_is_refused() -> None:
    with pytest.raises(UsageError, match="choose one of m3d_seg, radgenome_masks"):
        crosswalk("totalsegmentator_v9")
