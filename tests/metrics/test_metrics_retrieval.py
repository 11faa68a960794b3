"""Recall and rank: planted matrices, ties, and the ceiling that identical texts set."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score

from radfoundry.metrics import MeanReciprocalRank, RecallAtK, recall_ceiling


def recall(similarity: np.ndarray, k: int) -> float | None:
    metric = RecallAtK(k)
    for at, row in enumerate(similarity):
        metric.update(row, at)
    return metric.result(resamples=0).value


def test_a_planted_matrix() -> None:
    """M3D-T41: rows whose own column ranks 1st, 2nd, 3rd and 4th."""
    matrix = np.array([[9, 1, 1, 1], [8, 7, 1, 0], [8, 7, 6, 1], [8, 7, 6, 5]], dtype=float)
    assert [recall(matrix, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1]


def test_k_beyond_the_candidates_is_all_of_them() -> None:
    """M3D section 6 g: the published code stops."""
    assert recall(np.eye(3), 10) == 1


def test_the_query_is_named() -> None:
    """M3D section 6 f: what was called image retrieval ranks texts for an image."""
    assert RecallAtK(5, "image").name == "R@5 of image queries"


def test_the_same_score_for_all_earns_chance_whatever_the_order() -> None:
    assert recall(np.zeros((8, 8)), 2) == pytest.approx(2 / 8)
    metric = MeanReciprocalRank()
    metric.update(np.zeros(4), 3)
    assert metric.result().value == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


@given(st.lists(st.integers(0, 2), min_size=2, max_size=5), st.integers(1, 5), st.integers(1, 2))
def test_ties_are_the_mean_over_all_orders(scores: list[int], k: int, right: int) -> None:
    """Every way to break the ties, counted out."""
    wanted = set(range(min(right, len(scores))))
    ranks = []
    for order in permutations(range(len(scores))):
        ranked = sorted(order, key=lambda at: -scores[at])  # stable: ties stay in the drawn order
        ranks.append(1 + min(ranked.index(at) for at in wanted))
    metric, reciprocal = RecallAtK(k), MeanReciprocalRank()
    metric.update(scores, wanted)
    reciprocal.update(scores, wanted)
    assert metric.result().value == pytest.approx(np.mean([rank <= k for rank in ranks]))
    assert reciprocal.result().value == pytest.approx(np.mean([1 / rank for rank in ranks]))


def test_rank_equals_scikit_learn_without_ties() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.permuted(np.tile(np.arange(20.0), (20, 1)), axis=1)
    metric = MeanReciprocalRank()
    for at, row in enumerate(matrix):
        metric.update(row, at)
    assert metric.result().value == pytest.approx(label_ranking_average_precision_score(np.eye(20), matrix))


def test_a_perfect_scorer_of_texts_reaches_the_ceiling_and_no_more() -> None:
    texts = ["normal chest"] * 6 + ["nodule", "effusion", "hernia", "nodule"]
    same = np.array([[float(a == b) for b in texts] for a in texts])
    for k in (1, 2, 5, 10):
        assert recall(same, k) == pytest.approx(recall_ceiling(texts, k))
    assert recall_ceiling(texts, 1) == pytest.approx((6 * 1 / 6 + 2 * 1 / 2 + 2) / 10)


def test_distinct_texts_have_no_ceiling() -> None:
    assert recall_ceiling(["a", "b", "c"], 1) == 1


def test_a_score_that_is_not_a_number_ranks_last() -> None:
    assert recall(np.array([[np.nan, 0.0], [0.0, 1.0]]), 1) == 0.5
