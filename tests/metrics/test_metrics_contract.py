"""What every metric promises, whatever it measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from metric_samples import ALL_METRICS, Samples

from radfoundry.errors import UsageError
from radfoundry.metrics import Accuracy, BoxIoU, ExactMatch, FleissKappa, Metric

IDS = [samples.make().name for samples in ALL_METRICS]
each_metric = pytest.mark.parametrize("samples", ALL_METRICS, ids=IDS)


def fill(metric: Metric[Any, Any], pairs: list[tuple[Any, Any]], first: int = 0) -> Metric[Any, Any]:
    for at, (said, true) in enumerate(pairs, first):
        metric.update(said, true, patient=f"p{at}")
    return metric


def test_names_are_distinct_and_not_empty() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(IDS)


@each_metric
def test_no_samples_is_undefined_not_zero(samples: Samples) -> None:
    score = samples.make().result()
    assert score == (None, None, None, 0, "no samples")
    assert samples.make().per_sample() == []


@each_metric
def test_right_answers_score_the_best(samples: Samples) -> None:
    score = fill(samples.make(), samples.right).result()
    assert score.value == pytest.approx(samples.best, abs=0.01)
    assert score.n == len(samples.right)


@each_metric
def test_wrong_answers_score_worse_in_the_stated_direction(samples: Samples) -> None:
    metric = fill(samples.make(), samples.wrong)
    value = metric.result().value
    assert value is not None
    assert value < samples.best - 0.05 if metric.better == "higher" else value > samples.best + 0.05


@each_metric
def test_the_interval_holds_the_value(samples: Samples) -> None:
    score = fill(samples.make(), samples.right + samples.wrong).result()
    assert score.low is not None
    assert score.high is not None
    assert score.low - 1e-9 <= (score.value or 0) <= score.high + 1e-9


@each_metric
def test_merged_shards_equal_one_run_in_any_order(samples: Samples) -> None:
    pairs = samples.right + samples.wrong
    whole = fill(samples.make(), pairs)
    cut = len(pairs) // 2
    parts = [fill(samples.make(), pairs[:cut]), fill(samples.make(), pairs[cut:], first=cut)]
    forwards = fill(samples.make(), pairs[:cut]).merge(parts[1])
    backwards = fill(samples.make(), pairs[cut:], first=cut).merge(parts[0])
    for merged in (forwards, backwards):
        assert np.array(merged.result()[:4], dtype=float) == pytest.approx(
            np.array(whole.result()[:4], dtype=float), nan_ok=True
        )
        assert merged.counts == whole.counts


@each_metric
def test_the_same_seed_gives_the_same_interval(samples: Samples) -> None:
    metric = fill(samples.make(), samples.right + samples.wrong)
    assert metric.result(seed=3) == metric.result(seed=3)


@each_metric
def test_a_missing_answer_is_counted_and_never_helps(samples: Samples) -> None:
    metric = fill(samples.make(), samples.right)
    if isinstance(metric, FleissKappa):
        with pytest.raises(UsageError, match="0 ratings"):
            metric.update(None, None)
        return
    before = metric.result().value
    metric.update(None, samples.right[0][1], patient="late")
    score = metric.result()
    assert metric.counts["missing"] == 1
    assert "1 missing" in score.note
    assert before is not None
    assert score.value is not None
    assert score.value <= before + 1e-9 if metric.better == "higher" else score.value >= before - 1e-9


@each_metric
def test_each_sample_has_its_own_score_in_order(samples: Samples) -> None:
    values = fill(samples.make(), samples.right + samples.wrong).per_sample()
    assert len(values) == len(samples.right) + len(samples.wrong)


def test_one_patient_has_no_interval() -> None:
    metric = ExactMatch()
    metric.update("a b", "a b", patient="p")
    metric.update("c", "d", patient="p")
    assert metric.result() == (0.5, None, None, 2, "one patient: no interval")


def test_no_resamples_means_no_interval() -> None:
    metric = fill(ExactMatch(), [("x", "x"), ("y", "z")])
    assert metric.result(resamples=0) == (0.5, None, None, 2, "")


def test_different_metrics_do_not_merge() -> None:
    with pytest.raises(UsageError, match="cannot merge box IoU into exact match"):
        ExactMatch().merge(BoxIoU())  # type: ignore[arg-type]


def test_unparsable_answers_are_kept_up_to_twenty() -> None:
    one, two = Accuracy(lambda _: None), Accuracy(lambda _: None)
    for at in range(15):
        one.update(f"first {at}", "yes")
        two.update(f"second {at}", "yes")
    one.merge(two)
    assert one.counts["unparsable"] == 30
    assert len(one.unparsed) == 20
    assert one.result().note == "30 unparsable"
