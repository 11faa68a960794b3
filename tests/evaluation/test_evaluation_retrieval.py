"""Retrieval from embeddings: both directions named, chance beside it, and the ceiling that identical texts set."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from radfoundry import cli
from radfoundry.errors import UsageError
from radfoundry.evaluation.retrieval import bench_retrieval, score_retrieval

TEXTS = ["normal", "normal", "a nodule", "an effusion"]


def test_perfect_embeddings_reach_the_ceiling_and_no_more() -> None:
    """Two of four texts are the same: asked by text, either image may come first, so R@1 is (1/2 + 1/2 + 1 + 1)/4."""
    same = np.array([[float(a == b) for b in TEXTS] for a in TEXTS])
    scores = score_retrieval(same, TEXTS, [None] * 4)
    assert scores["R@1 of image queries"]["value"] == 1.0
    assert scores["R@1 of text queries"]["value"] == pytest.approx(0.75)
    assert scores["R@1 of text queries"]["ceiling"] == pytest.approx(0.75)
    assert scores["MRR of text queries"]["value"] == pytest.approx((0.75 + 0.75 + 1 + 1) / 4)
    assert scores["R@5 of text queries"]["value"] == 1.0


def test_embeddings_that_say_nothing_score_chance() -> None:
    scores = score_retrieval(np.ones((4, 4)), ["a", "b", "c", "d"], list("wxyz"))
    for query in ("image", "text"):
        assert scores[f"R@1 of {query} queries"]["value"] == pytest.approx(1 / 4)
        assert scores[f"R@1 of {query} queries"]["blind"] == pytest.approx(1 / 4)


def test_a_file_of_embeddings_is_benched_as_typed(tmp_path, monkeypatch, capsys) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(30, 8))
    texts = images + rng.normal(size=(30, 8)) * 0.1
    path = tmp_path / "e.npz"
    np.savez(path, images=images, texts=texts, patients=np.array([f"p{k // 2}" for k in range(30)]))
    monkeypatch.setattr(sys, "argv", ["radfoundry", "bench", "retrieval", str(path), "--json"])
    cli.main()
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    best = line["scores"]["R@1 of image queries"]
    assert line["n"] == 30
    assert best["low"] <= best["value"] <= best["high"]
    assert best["value"] > 0.9 > best["blind"]


@pytest.mark.parametrize(
    "arrays", [{}, {"images": np.ones((2, 3)), "texts": np.ones((3, 3))}, {"images": np.array([{}], object)}]
)
def test_a_file_without_pairs_is_refused(tmp_path, arrays) -> None:
    path = tmp_path / "e.npz"
    np.savez(path, **arrays)
    with pytest.raises(UsageError, match=r"holds no (embeddings|pairs)"):
        bench_retrieval(path)
