"""Intervals draw whole patients, from one partition, and cover what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.metrics import Accuracy, ExactMatch
from radfoundry.metrics.intervals import (
    bootstrap,
    cluster_sums,
    partition,
    percentile_interval,
    resample_counts,
    swap_signs,
)


def test_patients_are_numbered_by_sorted_key() -> None:
    assert partition(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


def test_samples_without_a_patient_stand_alone() -> None:
    assert len(set(partition([None, None, "", "p", "p"]).tolist())) == 4


@given(st.lists(st.sampled_from(["p", "q", "r", None]), min_size=1, max_size=20))
def test_a_partition_numbers_every_patient_without_gaps(patients: list[str | None]) -> None:
    codes = partition(patients)
    assert sorted(set(codes.tolist())) == list(range(codes.max() + 1))
    for one, code in zip(patients, codes, strict=True):
        assert one is None or all(other == code for other, who in zip(codes, patients, strict=True) if who == one)


def test_rows_of_a_patient_are_added() -> None:
    rows = np.array([[1.0, 1], [2, 1], [4, 1]])
    assert cluster_sums(rows, np.array([1, 0, 1])).tolist() == [[2, 1], [5, 2]]


def test_every_draw_has_as_many_patients_as_there_are() -> None:
    counts = np.concatenate([*resample_counts(7, 50, seed=1)])
    assert counts.shape == (50, 7)
    assert (counts.sum(1) == 7).all()


def test_blocks_do_not_change_how_many_draws_there_are() -> None:
    assert sum(len(block) for block in resample_counts(900_000, 5, seed=0)) == 5
    assert sum(len(block) for block in swap_signs(900_000, 5, seed=0)) == 5


def test_undefined_draws_are_left_out_of_an_interval() -> None:
    assert percentile_interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert percentile_interval(np.array([np.nan])) == (None, None)


def test_many_answers_of_one_patient_are_not_many_observations() -> None:
    alone, clustered = ExactMatch(), ExactMatch()
    for patient in range(20):
        for _ in range(25):
            said = "right" if patient % 2 else "wrong"
            alone.update(said, "right")
            clustered.update(said, "right", patient=f"p{patient}")
    narrow, wide = alone.result(), clustered.result()
    assert narrow.value == wide.value == 0.5
    assert narrow.low is not None
    assert wide.low is not None
    assert 0.5 - wide.low > 3 * (0.5 - narrow.low)


def test_the_clustered_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(150):
        rate = rng.beta(4, 2, size=40)  # each patient is easy or hard; the mean is 2/3
        hits = np.array([rng.binomial(5, share) for share in rate], dtype=float)
        rows = np.stack([hits, np.full(40, 5.0)], axis=1)
        values = bootstrap(
            lambda c, rows=rows: (c @ rows)[:, 0] / (c @ rows)[:, 1], np.arange(40), resamples=300, seed=trial
        )
        low, high = percentile_interval(values)
        assert low is not None
        assert high is not None
        covered += low <= 2 / 3 <= high
    assert 0.88 <= covered / 150 <= 0.99


def test_the_standard_error_of_a_mean_is_found_again() -> None:
    rng = np.random.default_rng(0)
    hits = rng.random(400) < 0.7
    metric = Accuracy()
    for hit in hits:
        metric.update("a" if hit else "b", "a")
    score = metric.result(resamples=2000)
    assert score.low is not None
    assert score.high is not None
    error = np.sqrt(hits.mean() * (1 - hits.mean()) / 400)
    assert score.high - score.low == pytest.approx(2 * 1.96 * error, rel=0.1)
