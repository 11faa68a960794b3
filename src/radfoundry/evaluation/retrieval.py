"""Retrieval between images and texts from their embeddings: recall at k and MRR both ways, beside chance and the ceiling of ties."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UsageError
from radfoundry.metrics import MeanReciprocalRank, RecallAtK, Score, recall_ceiling

__all__ = ["bench_retrieval", "score_retrieval"]

KS = (1, 5, 10)
_Array = npt.NDArray[np.floating]


def score_retrieval(
    similarity: _Array, texts: Sequence[str], patients: Sequence[str | None]
) -> dict[str, dict[str, Any]]:
    """Return each score with its interval, `blind` (every candidate alike: chance) and `ceiling` (what identical texts allow).

    similarity: `[images, texts]`, row i belonging to text i. A query names the scores: "image queries" rank texts for an image (which
    M3D calls image retrieval), "text queries" rank images for a text. Identical texts are all right for each of their images.
    """
    same = np.array([[a == b for b in texts] for a in texts])
    out: dict[str, dict[str, Any]] = {}
    for query, rows in (("image", similarity), ("text", similarity.T)):
        for metric in (*(RecallAtK(k, query) for k in KS), MeanReciprocalRank()):
            blind = type(metric)(metric.k, query) if isinstance(metric, RecallAtK) else MeanReciprocalRank()
            for at, row in enumerate(rows):
                right = np.flatnonzero(same[at]).tolist() if query == "image" else at
                metric.update(row, right, patient=patients[at])
                blind.update(np.zeros(len(row)), right, patient=patients[at])
            name = metric.name if isinstance(metric, RecallAtK) else f"MRR of {query} queries"
            # an image's text can be found whichever copy comes first; a text cannot tell which image of its copies is meant
            ceiling = recall_ceiling(texts, metric.k) if isinstance(metric, RecallAtK) and query == "text" else 1.0
            out[name] = _row(metric.result(), blind.result(), ceiling)
    return out


def _row(score: Score, blind: Score, ceiling: float) -> dict[str, Any]:
    return {**score._asdict(), "blind": blind.value, "ceiling": ceiling}


def bench_retrieval(path: Path) -> dict[str, Any]:
    """Score an `.npz` with `images` and `texts` (embeddings `[n, d]`, row i of one belonging to row i of the other), and, where there
    are some, `captions` and `patients` (strings `[n]`). Raises UsageError for another file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        images, texts = (_unit(held[name]) for name in ("images", "texts"))
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(
            f"{path} holds no embeddings", f"{type(error).__name__}: {error}", "np.savez(FILE, images=, texts=)"
        ) from error
    n = len(images)
    captions = [str(text) for text in held.get("captions", np.arange(n))]
    patients = [str(key) for key in held.get("patients", np.arange(n))]
    if not n or images.shape != texts.shape or len(captions) != n or len(patients) != n:
        raise UsageError(f"{path} holds no pairs", f"images {images.shape}, texts {texts.shape}", "one text an image")
    scores = score_retrieval(images @ texts.T, captions, patients)
    return {"suite": "retrieval", "model": path.name, "n": n, "scores": scores}


def _unit(rows: _Array) -> _Array:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)
