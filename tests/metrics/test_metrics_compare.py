"""Two models on the same samples: paired, by patient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from radfoundry.errors import UsageError
from radfoundry.metrics import AUC, ExactMatch, LabelF1, paired_difference


def runs(first: list[bool], second: list[bool], patients: list[str] | None = None) -> tuple[ExactMatch, ExactMatch]:
    one, two = ExactMatch(), ExactMatch()
    for at, (a, b) in enumerate(zip(first, second, strict=True)):
        patient = patients[at] if patients else f"p{at}"
        one.update("x" if a else "y", "x", patient=patient)
        two.update("x" if b else "y", "x", patient=patient)
    return one, two


def test_a_model_does_not_differ_from_itself() -> None:
    one, two = runs([True, False] * 10, [True, False] * 10)
    assert paired_difference(one, two) == (0.0, 0.0, 0.0, 1.0, 20)


def test_pairing_finds_a_small_steady_gain_that_two_intervals_would_hide() -> None:
    rng = np.random.default_rng(1)
    hard = rng.random(200) < 0.5
    one, two = runs([not h or at % 10 == 0 for at, h in enumerate(hard)], [not h for h in hard])
    difference = paired_difference(one, two)
    assert difference.low is not None
    assert difference.low > 0
    assert difference.p is not None
    assert difference.p < 0.05  # six changes, all one way: 2 / 2**6
    assert (one.result().low or 0) < (two.result().high or 0)


def test_p_agrees_with_an_exact_sign_test() -> None:
    one, two = runs([True] * 14 + [False] * 4 + [True] * 20, [False] * 14 + [True] * 4 + [True] * 20)
    exact = stats.binomtest(14, 18).pvalue
    assert paired_difference(one, two, resamples=20_000).p == pytest.approx(exact, abs=0.01)


def test_whole_patients_change_sides() -> None:
    """Ten answers of one patient say no more than one."""
    one, two = runs([True] * 20, [False] * 20, [f"p{at // 10}" for at in range(20)])
    difference = paired_difference(one, two)
    assert difference.value == 1.0
    assert difference.p == pytest.approx(0.5, abs=0.06)


def test_p_is_never_zero() -> None:
    one, two = runs([True] * 60, [False] * 60)
    assert paired_difference(one, two, resamples=100).p == pytest.approx(1 / 101)


def test_a_ratio_of_sums_is_compared_too() -> None:
    one, two = LabelF1(["a", "b"]), LabelF1(["a", "b"])
    for at in range(30):
        one.update({"a"}, {"a"}, patient=f"p{at}")
        two.update({"b"} if at % 3 else {"a"}, {"a"}, patient=f"p{at}")
    difference = paired_difference(one, two)
    assert difference.value == pytest.approx(2 / 3)
    assert difference.p is not None
    assert difference.p < 0.05


def test_areas_have_an_interval_but_no_permutation() -> None:
    one, two = AUC(), AUC()
    for at in range(40):
        one.update(at % 2 + at / 100, at % 2 == 1, patient=f"p{at}")
        two.update(at / 100, at % 2 == 1, patient=f"p{at}")
    difference = paired_difference(one, two)
    assert difference.p is None
    assert difference.low is not None
    assert 0 < difference.low <= (difference.value or 0)


def test_no_samples_have_no_difference() -> None:
    assert paired_difference(ExactMatch(), ExactMatch()) == (None, None, None, None, 0)


def test_an_undefined_value_has_no_difference() -> None:
    one, two = AUC(), AUC()
    one.update(1.0, True)
    two.update(1.0, True)
    assert paired_difference(one, two).value is None


def test_one_patient_has_a_difference_without_an_interval() -> None:
    one, two = runs([True, True], [True, False], ["p", "p"])
    assert paired_difference(one, two)[:3] == (0.5, None, None)


def test_unpaired_runs_are_refused() -> None:
    one, _ = runs([True, True], [True, True], ["a", "b"])
    two, _ = runs([True, True], [True, True], ["b", "a"])
    with pytest.raises(UsageError, match="not paired"):
        paired_difference(one, two)


def test_different_metrics_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot compare exact match with AUC"):
        paired_difference(ExactMatch(), AUC())
