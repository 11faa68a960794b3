"""Golden cases of published scorers: M3D-Bench's and LLaVA-Med's."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden import Case, Outputs
from radfoundry.metrics.bleu import bleu_of_counts
from radfoundry.metrics.published import llava_med, m3d
from radfoundry.metrics.tokens import mt_tokens


def boxes(case: Case) -> Outputs:
    a = case.arrays()
    found = [m3d.extract_box(text) for text in case.config["texts"]]
    pairs = zip(a["box_a"].numpy(), a["box_b"].numpy(), strict=True)
    return {
        "box": [m3d.mask_box(mask) for mask in a["mask"].numpy()],
        "found": [box is not None for box in found],
        "extracted": [box or (0.0,) * 6 for box in found],
        "iou": [m3d.box_iou(tuple(first), tuple(second)) for first, second in pairs],
    }


def qa_metrics(case: Case) -> Outputs:
    config = case.config
    pairs = list(zip(config["predictions"], config["references"], strict=True))
    exact = [m3d.exact_match(*pair) for pair in pairs]
    return {
        "closed": [m3d.closed_is_right(p, letter) for (p, _), letter in zip(pairs, config["letters"], strict=True)],
        "exact_match": exact,
        "f1": [m3d.token_f1(*pair) for pair in pairs],
        "compute_list": np.mean(exact),
        # with a plain string as reference the published program goes through its letters
        "compute_str": [max(m3d.exact_match(p, letter) for letter in r) for p, r in pairs],
    }


def brevity_penalty(prediction: str, reference: str) -> float:
    """What BLEU would be if every token matched."""
    said, true = len(mt_tokens(prediction.strip(), False)), len(mt_tokens(reference.strip(), False))
    return float(bleu_of_counts(np.array([said, said, said, true], dtype=np.float64)))


def text_metrics(case: Case) -> Outputs:
    pairs = list(zip(case.config["predictions"], case.config["references"], strict=True))
    return {
        "bleu": [m3d.bleu1(*pair) for pair in pairs],
        "brevity_penalty": [brevity_penalty(*pair) for pair in pairs],
        "rouge1": [m3d.rouge1(*pair) for pair in pairs],
    }


def retrieval_recall(case: Case) -> Outputs:
    similarity = case.arrays()["similarity"].numpy()
    return {
        f"{name}_r{k}": m3d.recall_at_k(matrix, k)
        for name, matrix in (("ir", similarity), ("tr", similarity.T))
        for k in case.config["k"]
    }


def vqa_scorer(case: Case) -> Outputs:
    rows, wrong = [], []
    for pair in case.about["pairs"]:
        said, true = pair["prediction"], pair["reference"]
        rows.append([*llava_med.open_score(said, true), llava_med.substring_hit(said, true)])
        if [llava_med.normalise(true), llava_med.normalise(said)] != pair["normalised"]:
            wrong.append(f"normalised: {true!r}, {said!r}")
    return {"metrics": rows, "wrong": wrong}


M3D: dict[str, Any] = {
    "boxes": boxes,
    "qa_metrics": qa_metrics,
    "text_metrics": text_metrics,
    "retrieval_recall": retrieval_recall,
}
LLAVA: dict[str, Any] = {"vqa_scorer": vqa_scorer}
