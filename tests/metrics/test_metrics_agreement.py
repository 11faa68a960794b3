"""Kappa and calibration against scikit-learn, published examples and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, cohen_kappa_score

from radfoundry.errors import UsageError
from radfoundry.metrics import Brier, CohenKappa, ExpectedCalibrationError, FleissKappa


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_cohen_equals_scikit_learn(weights: str) -> None:
    rng = np.random.default_rng(1)
    true = rng.choice(list("abc"), 100)
    said = np.where(rng.random(100) < 0.6, true, rng.choice(list("abc"), 100))
    metric = CohenKappa("abc", weights)  # type: ignore[arg-type]
    for a, b in zip(said, true, strict=True):
        metric.update(str(a), str(b))
    theirs = cohen_kappa_score(true, said, weights=None if weights == "none" else weights)
    assert metric.result(resamples=0).value == pytest.approx(theirs)


def test_cohen_is_undefined_when_both_always_say_the_same() -> None:
    metric = CohenKappa(["yes", "no"])
    metric.update("yes", "yes")
    metric.update("yes", "yes")
    assert metric.result().value is None


def test_cohen_knows_its_labels() -> None:
    with pytest.raises(UsageError, match="unknown label in 'maybe'"):
        CohenKappa(["yes", "no"]).update("maybe", "yes")


def test_fleiss_equals_the_published_example() -> None:
    """Fourteen raters, ten subjects, five labels: kappa 0.210 (the textbook table)."""
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    metric = FleissKappa()
    for row in table:
        metric.update([label for label, times in zip("abcde", row, strict=True) for _ in range(times)], None)
    assert metric.result(resamples=0).value == pytest.approx(0.20993, abs=1e-5)


def test_fleiss_wants_the_same_number_of_raters() -> None:
    metric = FleissKappa()
    metric.update(["a", "b"], None)
    with pytest.raises(UsageError, match="3 ratings of a subject"):
        metric.update(["a", "b", "a"], None)


def test_calibration_by_hand() -> None:
    metric = ExpectedCalibrationError(bins=10)
    for confidence, right in [(0.95, True), (0.95, False), (0.2, False), (0.15, False), (0.0, False), (1.0, True)]:
        metric.update(confidence, right)
    # bins: {0} gap 0; {.15, .2} gap .175 twice; {.95, .95, 1} gap |2.9 - 2| / 3 three times
    assert metric.result().value == pytest.approx((0.35 + 0.9) / 6)
    assert metric.table() == [
        (0.0, 0.0, 1),
        (pytest.approx(0.175), 0.0, 2),
        (pytest.approx(2.9 / 3), pytest.approx(2 / 3), 3),
    ]


def test_calibration_without_samples_has_no_table() -> None:
    assert ExpectedCalibrationError().table() == []


def test_calibration_leaves_out_and_counts_what_has_no_confidence() -> None:
    metric = ExpectedCalibrationError()
    metric.update(None, True)
    assert metric.result() == (None, None, None, 0, "undefined; 1 missing")


def test_brier_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    said, true = rng.random(50), rng.random(50) < 0.5
    metric = Brier()
    for a, b in zip(said, true, strict=True):
        metric.update(float(a), bool(b))
    assert metric.result(resamples=0).value == pytest.approx(brier_score_loss(true, said))


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="is no probability"):
        Brier().update(value, True)
