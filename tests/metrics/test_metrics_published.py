"""The scorers as published give the published numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from radfoundry.errors import UsageError
from radfoundry.metrics.published import Published, llava_med, m3d, medevalkit

Golden = Callable[[str], tuple[dict[str, Any], dict[str, np.ndarray]]]


def test_m3d_boxes(golden_case: Golden) -> None:
    case, arrays = golden_case("m3d/boxes")
    assert np.allclose([m3d.mask_box(mask) for mask in arrays["mask"]], arrays["box"], atol=1e-9, rtol=0)
    found = [m3d.extract_box(text) for text in case["config"]["texts"]]
    assert [box is not None for box in found] == arrays["found"].tolist()
    assert np.allclose([box or [0] * 6 for box in found], arrays["extracted"], atol=1.2e-9, rtol=0)
    ious = [m3d.box_iou(tuple(a), tuple(b)) for a, b in zip(arrays["box_a"], arrays["box_b"], strict=True)]
    assert np.allclose(ious, arrays["iou"], atol=1e-9, rtol=0)


def test_m3d_qa_metrics(golden_case: Golden) -> None:
    case, arrays = golden_case("m3d/qa_metrics")
    pairs = [*zip(case["config"]["predictions"], case["config"]["references"], strict=True)]
    letters = case["config"]["letters"]
    assert [m3d.closed_is_right(p, x) for (p, _), x in zip(pairs, letters, strict=True)] == arrays["closed"].tolist()
    assert [m3d.exact_match(*pair) for pair in pairs] == arrays["exact_match"].tolist()
    assert np.allclose([m3d.token_f1(*pair) for pair in pairs], arrays["f1"], atol=1e-9, rtol=0)
    assert np.mean([m3d.exact_match(*pair) for pair in pairs]) == pytest.approx(arrays["compute_list"].item())
    # with a plain string as reference the published program goes through its letters
    by_letter = [max(m3d.exact_match(p, letter) for letter in r) for p, r in pairs]
    assert by_letter == arrays["compute_str"].tolist()


def test_m3d_text_metrics(golden_case: Golden) -> None:
    case, arrays = golden_case("m3d/text_metrics")
    pairs = [*zip(case["config"]["predictions"], case["config"]["references"], strict=True)]
    assert np.allclose([m3d.bleu1(*pair) for pair in pairs], arrays["bleu"], atol=1e-9, rtol=0)
    assert np.allclose([m3d.rouge1(*pair) for pair in pairs], arrays["rouge1"], atol=1e-9, rtol=0)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_m3d_retrieval_recall(golden_case: Golden, k: int) -> None:
    _, arrays = golden_case("m3d/retrieval_recall")
    assert m3d.recall_at_k(arrays["similarity"], k) == pytest.approx(arrays[f"ir_r{k}"].item(), abs=1e-6)
    assert m3d.recall_at_k(arrays["similarity"].T, k) == pytest.approx(arrays[f"tr_r{k}"].item(), abs=1e-6)


def test_m3d_soft_dice(golden_case: Golden) -> None:
    _, arrays = golden_case("m3d/seg_losses")
    logits, target = arrays["logits"], arrays["target"]
    assert m3d.soft_dice(logits, target) == pytest.approx(arrays["metric_dice_all"].item(), abs=1e-5)
    for at in range(5):
        one = m3d.soft_dice(logits[at : at + 1], target[at : at + 1])
        assert one == pytest.approx(arrays[f"metric_dice_{at}"].item(), abs=1e-5)
    nothing = np.full_like(logits[:1], -np.inf)
    assert m3d.soft_dice(nothing, target[1:2]) == arrays["metric_dice_neginf_empty"].item()
    assert m3d.soft_dice(nothing, target[2:3]) == arrays["metric_dice_neginf_present"].item()


def test_llava_vqa_scorer(golden_case: Golden) -> None:
    case, arrays = golden_case("llava/vqa_scorer")
    for pair, expected in zip(case["pairs"], arrays["metrics"], strict=True):
        said, true = pair["prediction"], pair["reference"]
        assert [llava_med.normalise(true), llava_med.normalise(said)] == pair["normalised"]
        ours = [*llava_med.open_score(said, true), llava_med.substring_hit(said, true)]
        assert ours == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "normal"),
    [("cant", "can't"), ("couldnt've", "couldn't've"), ("twas", "'twas"), ("somebody'd", "somebodyd")],
)
def test_llava_contractions(text: str, normal: str) -> None:
    assert llava_med.normalise(text) == normal


def test_m3d_recall_stops_beyond_the_candidates() -> None:
    with pytest.raises(UsageError, match="k = 5 of 3 candidates"):
        m3d.recall_at_k(np.eye(3), 5)


@pytest.mark.parametrize(
    ("said", "letter", "right"),
    [
        ("a", "A", 1),
        ("A. liver", "A", 1),
        ("The answer is B", "B", 1),
        ("liver", "A", 1),
        ("the spleen organ", "B", 1),
        ("reasoning\n\nB. spleen", "B", 1),
        ("b\n\nsince it is the spleen", "B", 1),
        ("liver", "B", 0),
    ],
)
def test_medevalkit_choices(said: str, letter: str, right: int) -> None:
    assert medevalkit.choice_is_right(said, letter, ("liver", "spleen")) == right


def test_a_published_score_says_so_and_drops_what_its_authors_drop() -> None:
    metric = Published("LLaVA-Med closed", llava_med.substring_hit, missing=None)
    metric.update("a nodule", "no")
    metric.update(None, "no")
    assert metric.name == "LLaVA-Med closed (published)"
    assert metric.result().value == 1
    assert metric.result().n == 1
    assert metric.counts["missing"] == 1
