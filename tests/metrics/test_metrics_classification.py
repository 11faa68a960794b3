"""Accuracy and areas against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from radfoundry.metrics import AUC, Accuracy, BalancedAccuracy, ClosedAccuracy, ExactMatch, parse_closed


def area(scores: list[float], labels: list[bool]) -> AUC:
    metric = AUC()
    for at, (score, label) in enumerate(zip(scores, labels, strict=True)):
        metric.update(score, label, patient=f"p{at}")
    return metric


@pytest.mark.parametrize("seed", range(5))
def test_auc_equals_scikit_learn_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 6, 80) / 5, rng.random(80) < 0.4
    assert area(list(scores), list(labels)).result(resamples=0).value == pytest.approx(roc_auc_score(labels, scores))


def test_equal_scores_are_a_coin_toss() -> None:
    assert area([0.5] * 4, [True, False, True, False]).result().value == 0.5


def test_auc_without_a_class_is_undefined() -> None:
    score = area([0.1, 0.9], [True, True]).result()
    assert score.value is None
    assert score.note == "undefined"


def test_an_auc_draw_equals_the_auc_of_the_drawn_samples() -> None:
    rng = np.random.default_rng(2)
    scores, labels = rng.integers(0, 9, 30) / 8, rng.random(30) < 0.5
    metric = area(list(scores), list(labels))
    codes = metric.codes()
    counts = np.bincount(rng.integers(0, 30, 30), minlength=30)
    drawn = np.repeat(np.argsort(codes), counts)
    expected = roc_auc_score(labels[drawn], scores[drawn])
    assert metric.estimator(codes)(counts[None].astype(float))[0] == pytest.approx(expected)


def test_a_score_that_is_not_a_number_is_the_worst() -> None:
    assert area([np.nan, 0.2, 0.8], [True, False, True]).result().value == 0.5


def test_balanced_accuracy_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, said = rng.choice(list("abc"), 200, p=[0.8, 0.15, 0.05]), rng.choice(list("abc"), 200)
    metric = BalancedAccuracy()
    for a, b in zip(said, true, strict=True):
        metric.update(a, b)
    assert metric.result(resamples=0).value == pytest.approx(balanced_accuracy_score(true, said))


def test_always_no_is_worth_half_where_plain_accuracy_says_eighty_percent() -> None:
    plain, balanced = Accuracy(), BalancedAccuracy()
    for true in ["no"] * 8 + ["yes"] * 2:
        plain.update("no", true)
        balanced.update("no", true)
    assert plain.result().value == 0.8
    assert balanced.result().value == 0.5


def test_an_absent_class_is_not_averaged() -> None:
    metric = BalancedAccuracy()
    metric.update("maybe", "yes")
    metric.update("yes", "yes")
    assert metric.result().value == 0.5


def test_unparsable_closed_answers_are_wrong_counted_and_shown() -> None:
    metric = ClosedAccuracy()
    for said, true in [("Yes", "yes"), ("normal heart", "No"), ("no.", "no"), (None, "yes")]:
        metric.update(said, true)
    assert metric.result().value == 0.5
    assert metric.result().note == "1 missing; 1 unparsable"
    assert metric.unparsed == ["normal heart"]


def test_balanced_accuracy_reads_answers_the_same_way() -> None:
    metric = BalancedAccuracy(parse_closed)
    metric.update("Yes, it is", "yes")
    metric.update("nodule", "no")
    assert metric.result().value == 0.5
    assert metric.counts["unparsable"] == 1


def test_exact_match_ignores_dress_but_not_words() -> None:
    metric = ExactMatch()
    for said, true in [("The Left Kidney.", "left kidney"), ("12.0", "12"), ("left kidney mass", "left kidney")]:
        metric.update(said, true)
    assert metric.per_sample() == [1.0, 1.0, 0.0]


def test_closed_questions_with_other_answers_want_equal_words() -> None:
    metric = ClosedAccuracy()
    for said, true in [
        ("The right.", "Right"),
        ("the bright spot", "right"),
        ("right or left", "right"),
        ("Yes", "Yes "),
    ]:
        metric.update(said, true)
    assert metric.per_sample() == [1.0, 0.0, 0.0, 1.0]
