"""Fingerprints, twins, and what must not straddle splits."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom

from radfoundry.corpus.duplicates import decide, groups_of
from radfoundry.corpus.fingerprints import close_pairs, jaccard, perceptual_hash, shingles, similar_texts

WORDS = [f"word{i}" for i in range(400)]


def text_of(seed: int, length: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def plain_shingles(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


@given(
    st.lists(st.sampled_from(WORDS[:6]), min_size=3, max_size=30),
    st.lists(st.sampled_from(WORDS[:6]), min_size=3, max_size=30),
)
def test_jaccard_is_that_of_sets_of_three_words(a: list[str], b: list[str]) -> None:
    one, two = plain_shingles(" ".join(a)), plain_shingles(" ".join(b))
    expected = len(one & two) / len(one | two)
    assert jaccard(shingles(" ".join(a)), shingles(" ".join(b))) == pytest.approx(expected)


def test_case_punctuation_and_white_space_do_not_count() -> None:
    assert list(similar_texts(["No acute disease. Heart normal.", "no acute  disease; heart NORMAL"])) == [(0, 1)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_a_text_with_one_word_changed_is_found_and_others_are_not(seed: int) -> None:
    words = text_of(seed, 80).split()
    words[40] = "changed"
    texts = [text_of(seed + 1, 80), text_of(seed, 80), text_of(seed + 2, 80), " ".join(words)]
    assert list(similar_texts(texts, 0.9)) == [(1, 3)]


def test_a_phrase_that_everybody_writes_does_not_cost_its_square() -> None:
    pairs = list(similar_texts(["no acute disease"] * 2000))
    assert pairs == [(0, place) for place in range(1, 2000)]


def test_texts_without_words_resemble_nothing() -> None:
    assert jaccard(shingles(""), shingles("")) == 1.0
    assert list(similar_texts(["...", "one two three", ""])) in ([], [(0, 2)])


def smooth(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    coarse = np.random.default_rng(seed).normal(size=[6] * len(shape))
    return zoom(coarse, [n / 6 for n in shape], order=3) * 300 + 100


@pytest.mark.parametrize("shape", [(120, 100), (40, 60, 50)])
def test_resampling_windows_and_noise_change_few_bits(shape: tuple[int, ...]) -> None:
    picture = smooth(1, shape)
    value = perceptual_hash(picture)
    noisy = picture + np.random.default_rng(2).normal(scale=6, size=shape)
    for other in (zoom(picture, 0.8, order=1), picture * 0.1 + 7, np.clip(picture, -500, 700), noisy):
        assert (value ^ perceptual_hash(other)).bit_count() <= 6 * len(shape) // 2
    assert (value ^ perceptual_hash(smooth(3, shape))).bit_count() > 12


@given(st.lists(st.integers(0, 2**64 - 1), max_size=12), st.lists(st.integers(0, 63), max_size=6))
def test_every_pair_within_six_bits_is_found(hashes: list[int], flips: list[int]) -> None:
    if hashes:
        twin = hashes[0]
        for bit in flips:
            twin ^= 1 << bit
        hashes = [*hashes, twin]
    expected = [
        (a, b, (hashes[a] ^ hashes[b]).bit_count())
        for a in range(len(hashes))
        for b in range(a + 1, len(hashes))
        if (hashes[a] ^ hashes[b]).bit_count() <= 6
    ]
    assert list(close_pairs(hashes)) == expected


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=10))
def test_groups_do_not_overlap_and_hold_their_pairs(pairs: list[tuple[str, str]]) -> None:
    groups = groups_of(pairs)
    members = [member for group in groups for member in group]
    assert len(members) == len(set(members))
    assert all(a == b or any({a, b} <= set(group) for group in groups) for a, b in pairs)


def tables(
    studies: dict[str, str], images: list[tuple[str, str]], reports: list[tuple[str, str, str]]
) -> list[pa.Table]:
    return [
        pa.table({"study_id": list(studies), "split": list(studies.values())}),
        pa.table({"image_id": [i for i, _ in images], "study_id": [s for _, s in images]}),
        pa.table(
            {
                "report_id": [r for r, _, _ in reports],
                "study_id": [s for _, s, _ in reports],
                "text": [t for *_, t in reports],
            }
        ),
    ]


def test_a_study_that_repeats_images_and_report_of_another_is_a_twin() -> None:
    found = decide(
        *tables({"a": "train", "b": "test"}, [("i", "a"), ("i", "b")], [("r", "a", "short"), ("r", "b", "short")])
    )
    assert (found.twins, found.moved) == ({"b": "a"}, ())
    assert [(row.key, row.code) for row in found.rejected] == [("b", "duplicate-study")]


def test_one_image_under_two_reports_stays_and_does_not_straddle_splits() -> None:
    found = decide(
        *tables(
            {"a": "test", "b": "validation", "c": "test"},
            [("i", "a"), ("i", "b"), ("j", "c")],
            [("r", "a", "x"), ("s", "b", "y")],
        )
    )
    assert (found.twins, found.moved, found.same_image_groups) == ({}, ("a", "b"), 1)


def test_the_same_image_twice_in_one_split_moves_nobody() -> None:
    found = decide(*tables({"a": "test", "b": "test"}, [("i", "a"), ("i", "b")], [("r", "a", "x"), ("s", "b", "y")]))
    assert found.moved == ()


def test_nearly_the_same_long_report_does_not_straddle_splits_and_a_common_phrase_may() -> None:
    long, phrase = text_of(1), "No acute cardiopulmonary disease."
    reports = [("r", "a", long), ("s", "b", long + " stable"), ("t", "c", phrase), ("u", "d", phrase)]
    found = decide(*tables({"a": "train", "b": "test", "c": "train", "d": "test"}, [], reports))
    assert (found.moved, found.same_text_groups) == (("b",), 1)
