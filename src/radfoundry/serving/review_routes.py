"""/v1/reviews...: the queue of what is to be judged, verdicts, and how far readers agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Query
from pydantic import BaseModel, ConfigDict, Field

from radfoundry.serving.cases import Cases, Filter
from radfoundry.serving.corpus_routes import Limit, no_corpus
from radfoundry.serving.corpus_view import CorpusView
from radfoundry.serving.refusals import Refusal
from radfoundry.serving.review_store import ReviewStore, as_json

__all__ = ["cohen_kappa", "review_router"]

VERDICTS = ("right", "wrong", "unsure")
_SHOWN = 100  # disagreements


class Verdict(BaseModel):
    """The body of POST /v1/reviews."""

    model_config = ConfigDict(extra="forbid")

    row_id: str = Field(max_length=64)
    verdict: Literal["right", "wrong", "unsure"]
    note: str = Field("", max_length=4000)
    reader: str = Field(min_length=1, max_length=40)


def review_router(corpus: CorpusView | None, store: ReviewStore | None) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/reviews", tags=["reviews"])
    cases = Cases(corpus) if corpus is not None else None

    def both() -> tuple[Cases, ReviewStore]:
        if cases is None or store is None:
            raise no_corpus()
        return cases, store

    @router.get("/queue")
    def queue(
        kind: Literal["link", "sample"] = "link",
        rule: str = "",
        builder: str = "",
        region: str = "",
        max_confidence: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
        reader: str = "",
        after: str = "",
        limit: Limit = 20,
    ) -> dict[str, Any]:
        """List cases that a reader has not judged."""
        known, verdicts = both()
        wanted = Filter(kind, rule, builder, region, max_confidence)
        fitting = [case for case in known.listed(kind) if wanted.takes(case)]
        done = verdicts.judged(reader)
        left = [case for case in fitting if case.row_id not in done]
        start = next((i + 1 for i, case in enumerate(left) if case.row_id == after), 0)
        page = left[start : start + limit]
        return {
            "data": known.as_json(page),
            "next": page[-1].row_id if start + limit < len(left) else None,
            "total": len(fitting),
            "judged": len(fitting) - len(left),
        }

    @router.post("")
    def judge(body: Verdict, later: BackgroundTasks) -> dict[str, Any]:
        """Store a verdict."""
        known, verdicts = both()
        if body.row_id not in known.by_id:
            raise Refusal(404, "There is no such row.", "The corpus has no link or sample of that id.")
        review = verdicts.add(body.row_id, body.verdict, body.note, body.reader.strip() or body.reader)
        later.add_task(verdicts.export)
        return as_json(review)

    @router.get("")
    def reviews(reader: str = "", row_id: str = "") -> dict[str, Any]:
        """List verdicts."""
        return {"data": [as_json(review) for review in both()[1].rows(reader, row_id)]}

    @router.get("/agreement")
    def agreement() -> dict[str, Any]:
        """How far readers agree, and where they do not."""
        known, verdicts = both()
        by_reader: dict[str, dict[str, str]] = {}
        for review in verdicts.rows():
            by_reader.setdefault(review.reader, {})[review.row_id] = review.verdict
        readers = sorted(by_reader)
        pairs = [_pair(a, b, by_reader[a], by_reader[b]) for a, b in combinations(readers, 2)]
        return {
            "readers": readers,
            "judged": {reader: len(by_reader[reader]) for reader in readers},
            "pairs": pairs,
            "disagreements": _disagreements(known, by_reader),
        }

    return router


def _pair(a: str, b: str, first: dict[str, str], second: dict[str, str]) -> dict[str, Any]:
    both = sorted(first.keys() & second.keys())
    one, other = [first[row] for row in both], [second[row] for row in both]
    agree = sum(x == y for x, y in zip(one, other, strict=True))
    return {"a": a, "b": b, "n": len(both), "agree": agree, "kappa": cohen_kappa(one, other)}


def cohen_kappa(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Return Cohen's kappa of two readers on the same rows; None where chance alone would agree, or there is no row."""
    n = len(one)
    if not n:
        return None
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    chance = sum(one.count(v) * other.count(v) for v in VERDICTS) / (n * n)
    return None if chance >= 1 else round((observed - chance) / (1 - chance), 4)


def _disagreements(known: Cases, by_reader: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    verdicts: dict[str, dict[str, str]] = {}
    for reader, rows in by_reader.items():
        for row_id, verdict in rows.items():
            verdicts.setdefault(row_id, {})[reader] = verdict
    split = [row for row, given in sorted(verdicts.items()) if len(set(given.values())) > 1 and row in known.by_id]
    cases = known.as_json([known.by_id[row] for row in split[:_SHOWN]])
    return [{"case": case, "verdicts": verdicts[case["row_id"]]} for case in cases]
