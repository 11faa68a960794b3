"""The term finder against a plain search, and its marks one by one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.errors import UsageError
from radfoundry.language.matching import GAP_CHARACTERS, Lexicon, expand, fold, read_table


def found(lexicon: Lexicon[str], text: str) -> list[tuple[str, str]]:
    folded = fold(text)
    return [(folded[match.start : match.end], match.value) for match in lexicon.find(folded)]


def test_alternatives_are_written_out_nested_ones_too() -> None:
    assert sorted(expand("(left|(far |)right) lung")) == ["far right lung", "left lung", "right lung"]


def test_the_longest_of_overlapping_terms_wins() -> None:
    lexicon = Lexicon([("heart", "a"), ("right heart atrium", "b")])
    assert found(lexicon, "Right heart atrium, heart") == [("right heart atrium", "b"), ("heart", "a")]


@pytest.mark.parametrize(
    ("text", "hits"), [("nodules", 1), ("node", 0), ("nodule-like", 1), ("micronodule", 0), ("nodulesque", 0)]
)
def test_a_term_is_whole_words_with_a_regular_plural(text: str, hits: int) -> None:
    assert len(found(Lexicon([("nodule", "n")]), text)) == hits


def test_masses_is_the_plural_of_mass() -> None:
    assert found(Lexicon([("mass", "m")]), "masses") == [("masses", "m")]


def test_a_star_takes_any_ending() -> None:
    assert found(Lexicon([("emphysem*", "e")]), "emphysematous") == [("emphysematous", "e")]


def test_a_gap_reaches_over_words_but_not_over_the_clause() -> None:
    lexicon = Lexicon([("heart ... enlarged", "c")])
    assert found(lexicon, "heart is mildly enlarged") == [("heart is mildly enlarged", "c")]
    assert found(lexicon, "heart is normal; liver is enlarged") == []
    assert found(lexicon, "heart " + "x" * GAP_CHARACTERS + " enlarged") == []


def test_a_gap_does_not_hide_what_stands_in_it() -> None:
    lexicon = Lexicon([("heart ... enlarged", "c"), ("mildly", "m")])
    assert [value for _, value in found(lexicon, "heart is mildly enlarged")] == ["c", "m"]


def test_hyphens_and_slashes_count_as_spaces() -> None:
    assert found(Lexicon([("ground glass", "g")]), "Ground-glass") == [("ground glass", "g")]


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_folding_keeps_every_character_in_its_place(text: str) -> None:
    assert len(fold(text)) == len(text)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from(["lung", "left lung", "lobe", "left"]), min_size=1, unique=True), st.text("leftlungob ,")
)
def test_it_finds_the_same_words_as_a_plain_search(terms: list[str], text: str) -> None:
    matches = Lexicon((term, term) for term in terms).find_all(fold(text))
    plain = {
        (hit.start(), term)
        for term in terms
        for hit in re.finditer(rf"(?<![a-z])(?={term}(?:s|es)?(?![a-z]))", fold(text))
    }
    assert {(match.start, match.value) for match in matches} == plain


def test_a_row_with_a_missing_cell_is_named(tmp_path) -> None:
    (tmp_path / "bad.tsv").write_text("term\tside\nleft\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has 1 cells, the header has 2"):
        read_table(tmp_path / "bad.tsv")
