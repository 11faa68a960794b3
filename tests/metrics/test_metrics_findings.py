"""Statements, labels and entities, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from radfoundry.errors import UsageError
from radfoundry.metrics import EntityOverlap, LabelF1, Statement, StatementF1

LABELS = ["nodule", "effusion", "emphysema", "hernia"]
PRESENT, ABSENT = Statement("effusion", "present", "left"), Statement("effusion", "absent")


def statements(said: set[Statement], true: set[Statement], part: str = "f1", sides: bool = False) -> float | None:
    metric = StatementF1(part, sides=sides)  # type: ignore[arg-type]
    metric.update(said, true)
    return metric.result().value


def test_a_negation_flip_is_one_false_and_one_missed_statement() -> None:
    assert statements({PRESENT}, {ABSENT}) == 0
    assert statements({PRESENT, Statement("nodule", "present")}, {ABSENT, Statement("nodule", "present")}) == 0.5


def test_sides_count_only_when_asked_for() -> None:
    right = Statement("effusion", "present", "right")
    assert statements({right}, {PRESENT}) == 1
    assert statements({right}, {PRESENT}, sides=True) == 0


def test_a_text_without_statements_is_undefined_not_perfect() -> None:
    assert statements(set(), set()) is None
    assert statements(set(), {ABSENT}) == 0
    assert statements(set(), {ABSENT}, "precision") is None
    assert statements({ABSENT}, set(), "recall") is None


def test_half_the_statements() -> None:
    true = {ABSENT, Statement("nodule", "present")}
    assert statements({ABSENT}, true, "precision") == 1
    assert statements({ABSENT}, true, "recall") == 0.5
    assert statements({ABSENT}, true) == pytest.approx(2 / 3)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_labels_equal_scikit_learn(average: str) -> None:
    rng = np.random.default_rng(3)
    true, said = rng.random((60, 4)) < [0.5, 0.3, 0.1, 0.0], rng.random((60, 4)) < [0.5, 0.3, 0.2, 0.0]
    for part, theirs in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        metric = LabelF1(LABELS, average, part)  # type: ignore[arg-type]
        for a, b in zip(said, true, strict=True):
            metric.update(
                {x for x, on in zip(LABELS, a, strict=True) if on}, {x for x, on in zip(LABELS, b, strict=True) if on}
            )
        # the last label is neither given nor true: left out of the mean
        expected = theirs(true, said, average=average, zero_division=np.nan)
        assert metric.result(resamples=0).value == pytest.approx(expected)


def test_each_label_has_its_own_score() -> None:
    metric = LabelF1(LABELS)
    metric.update({"nodule", "effusion"}, {"nodule"}, patient="p")
    metric.update({"nodule"}, {"nodule", "hernia"}, patient="q")
    scores = metric.by_label()
    assert scores["nodule"].value == 1
    assert scores["effusion"].value == 0
    assert scores["emphysema"].value is None
    assert scores["hernia"] == (0.0, 0.0, 0.0, 2, "")


def test_labels_outside_the_list_are_counted_in_answers_and_refused_in_references() -> None:
    metric = LabelF1(LABELS)
    metric.update({"nodule", "fracture"}, {"nodule"})
    assert metric.result().value == 1
    assert "1 labels outside the list" in metric.result().note
    with pytest.raises(UsageError, match="unknown label 'fracture'"):
        metric.update(set(), {"fracture"})


def entities(said: set[str], true: set[str], part: str = "f1", **kwargs: object) -> float | None:
    metric = EntityOverlap(part, **kwargs)  # type: ignore[arg-type]
    metric.update(said, true)
    return metric.result().value


def test_entities_by_hand() -> None:
    assert entities({"Liver", "cyst", "mass"}, {"liver", "cyst"}, "precision") == pytest.approx(2 / 3)
    assert entities({"Liver", "cyst", "mass"}, {"liver", "cyst"}, "recall") == 1
    assert entities({"Liver", "cyst", "mass"}, {"liver", "cyst"}) == pytest.approx(4 / 5)


def test_no_entities_on_both_sides_are_skipped_and_counted() -> None:
    """RadBench section 6: UMLS scores of empty sets were never defined; here both empty is skipped, one empty is 0."""
    metric = EntityOverlap("precision")
    metric.update(set(), set())
    metric.update(set(), {"liver"})
    metric.update({"liver"}, set())
    assert metric.per_sample() == [None, 0.0, 0.0]
    assert metric.result()[3:] == (2, "1 undefined")


def test_an_entity_is_matched_once_whatever_the_matcher() -> None:
    def share_a_word(a: str, b: str) -> bool:
        return bool(set(a.split()) & set(b.split()))

    said, true = {"left lung", "right lung", "lung"}, {"lung mass"}
    assert entities(said, true, "precision", matcher=share_a_word) == pytest.approx(1 / 3)
    # a greedy matcher could give "lung" to "lung base" and leave "lung mass" alone
    assert entities({"lung", "base"}, {"lung mass", "lung base"}, "recall", matcher=share_a_word) == 1


def test_the_choice_of_matcher_is_in_the_name() -> None:
    assert EntityOverlap("recall", matcher_name="RadLex id").name == "entity recall, by RadLex id"
