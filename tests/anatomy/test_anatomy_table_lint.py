"""Lint of `regions.tsv`: what a person who edits the table may break."""

from __future__ import annotations

import re
from collections import Counter
from graphlib import TopologicalSorter
from typing import get_args

import pytest

from radfoundry.anatomy import Kind, Side, is_a, normalise, region, regions
from radfoundry.anatomy.regions import TABLE, Lies

EVERY = regions()
BY_NAME = {one.name: one for one in EVERY}
SIDED = [one for one in EVERY if one.side in ("left", "right")]


def test_every_line_has_every_column_and_no_stray_blanks() -> None:
    header, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    for line in lines:
        cells = line.split("\t")
        assert len(cells) == len(header.split("\t")), line
        assert all(part == part.strip() for cell in cells for part in cell.split(";")), line
        assert not any(cell.endswith(";") or ";;" in cell for cell in cells), line


def test_names_and_synonyms_are_lower_case_and_each_names_one_region_only() -> None:
    said = [name for one in EVERY for name in (one.name, *one.synonyms)]
    assert [name for name in said if name != name.lower()] == []
    assert [name for name, n in Counter(map(normalise, said)).items() if n > 1] == []


def test_parents_and_pairs_exist_by_their_canonical_names() -> None:
    assert [(one.name, p) for one in EVERY for p in (*one.parents, one.pair) if p and p not in BY_NAME] == []


def test_there_are_no_cycles() -> None:
    graph = {one.name: one.parents for one in EVERY}
    assert len(list(TopologicalSorter(graph).static_order())) == len(EVERY)


def test_no_parent_is_said_twice_or_already_said_by_another_parent() -> None:
    for one in EVERY:
        for parent in one.parents:
            others = [other for other in one.parents if other != parent]
            assert not any(is_a(other, parent) for other in others), f"{one.name}: {parent} follows from {others}"


def test_only_groups_and_the_body_stand_alone() -> None:
    assert {one.name for one in EVERY if not one.parents} == {"body", "tissue", "lesion", "medical device"}


def test_pairs_are_mutual_and_swap_sides() -> None:
    for one in EVERY:
        if one.pair:
            other = BY_NAME[one.pair]
            assert other.pair == one.name
            assert {one.side, other.side} == {"left", "right"}


def test_a_pair_has_the_same_name_but_for_the_side() -> None:
    for one in SIDED:
        if one.pair:
            swapped = re.sub(r"\b(left|right)\b", lambda m: {"left": "right", "right": "left"}[m[0]], one.name)
            assert swapped == one.pair


def test_a_pair_is_of_one_kind_with_one_density_and_as_many_parents() -> None:
    for one in SIDED:
        if one.pair:
            other = BY_NAME[one.pair]
            assert (one.kind, one.hu_range) == (other.kind, other.hu_range), one.name
            assert len(one.parents) == len(other.parents), one.name


def test_the_side_is_what_the_name_says() -> None:
    for one in EVERY:
        said = set(re.findall(r"\b(left|right)\b", one.name))
        assert len(said) <= 1, one.name
        if said:
            assert one.side in said, one.name


def test_no_synonym_contradicts_the_side() -> None:
    other = {"left": "right", "right": "left"}
    for one in SIDED:
        assert [s for s in one.synonyms if re.search(rf"\b{other[one.side]}\b", s)] == []
    for one in EVERY:
        if one.side == "bilateral":
            assert [s for s in one.synonyms if re.search(r"\b(left|right)\b", s)] == []


def test_a_sided_region_lies_in_nothing_of_the_other_side() -> None:
    other = {"left": "right", "right": "left"}
    for one in SIDED:
        assert [p.name for p in map(region, one.parents) if p.side == other[one.side]] == []


def test_sides_kinds_and_halves_are_of_the_known_words() -> None:
    assert {one.side for one in EVERY} <= set(get_args(Side))
    assert {one.kind for one in EVERY} <= set(get_args(Kind))
    assert {one.lies for one in EVERY} <= set(get_args(Lies))


def test_ranges_are_in_order_and_possible() -> None:
    for one in EVERY:
        if one.hu_range:
            assert -1024 <= one.hu_range[0] < one.hu_range[1]
        if one.volume_ml_range:
            assert 0 < one.volume_ml_range[0] < one.volume_ml_range[1]


def test_a_part_is_not_expected_to_be_larger_than_the_whole() -> None:
    for one in EVERY:
        for above in map(region, one.parents):
            if one.volume_ml_range and above.volume_ml_range:
                assert one.volume_ml_range[1] <= above.volume_ml_range[1], f"{one} in {above}"


def test_snomed_codes_have_a_right_check_digit() -> None:
    """Verhoeff's scheme, as SNOMED CT identifiers use it: a mistyped or invented code fails nine times in ten."""
    assert [(one.name, one.snomed) for one in EVERY if one.snomed and not _verhoeff_holds(one.snomed)] == []


def test_radlex_and_uberon_codes_have_their_form() -> None:
    assert [one.radlex for one in EVERY if one.radlex and not re.fullmatch(r"RID\d+", one.radlex)] == []
    assert [one.uberon for one in EVERY if one.uberon and not re.fullmatch(r"UBERON:\d{7}", one.uberon)] == []


@pytest.mark.parametrize("scheme", ["snomed", "radlex", "uberon"])
def test_a_code_belongs_to_one_structure_and_its_sides_only(scheme: str) -> None:
    names: dict[str, set[str]] = {}
    for one in EVERY:
        if code := getattr(one, scheme):
            names.setdefault(code, set()).add(re.sub(r"\b(left|right) ", "", one.name))
    assert {code: who for code, who in names.items() if len(who) > 1} == {}


def test_a_pair_shares_its_snomed_code_or_both_have_their_own() -> None:
    for one in SIDED:
        if one.pair:
            assert bool(one.snomed) == bool(BY_NAME[one.pair].snomed), one.name


def _verhoeff_holds(code: str) -> bool:
    """Dihedral group D5: multiplication and the permutation 1 5 7 6 2 8 3 0 9 4, applied by place from the right."""
    permutation = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    total = 0
    for place, digit in enumerate(map(int, reversed(code))):
        for _ in range(place % 8):
            digit = permutation[digit]
        total = _in_d5(total, digit)
    return total == 0


def _in_d5(a: int, b: int) -> int:
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b - 5) % 5 + 5
    return (a - 5 - b) % 5 + 5 if b < 5 else (a - b) % 5
