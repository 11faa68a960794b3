"""GET /v1/corpus...: what was built."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from radfoundry.serving.corpus_view import CorpusView
from radfoundry.serving.refusals import Refusal

__all__ = ["Limit", "corpus_router", "no_corpus", "present"]

Limit = Annotated[int, Query(ge=1, le=500)]


def no_corpus() -> Refusal:
    """Return the refusal of a server that was started without a corpus."""
    return Refusal(
        404,
        "There is no corpus.",
        "The server was started without one.",
        "radfoundry serve --model WHAT --data OUT",
        code="no-corpus",
    )


def present(corpus: CorpusView | None) -> CorpusView:
    """Return the corpus. Raises Refusal (404) where there is none."""
    if corpus is None:
        raise no_corpus()
    return corpus


def corpus_router(corpus: CorpusView | None) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/corpus", tags=["corpus"])

    @router.get("")
    def about() -> dict[str, Any]:
        """Name, counts, and what can be filtered by."""
        return present(corpus).about()

    @router.get("/studies")
    def studies(
        modality: str = "", finding: str = "", split: str = "", after: str = "", limit: Limit = 50
    ) -> dict[str, Any]:
        """List studies."""
        page = present(corpus).studies(modality, finding, split, after, limit)
        return {"data": page.rows, "next": page.next}

    @router.get("/studies/{study_id}")
    def study(study_id: str) -> dict[str, Any]:
        """Return one study with everything that hangs on it."""
        return present(corpus).study(study_id)

    @router.get("/rejected")
    def rejected(after: str = "", limit: Limit = 50) -> dict[str, Any]:
        """List what did not go in."""
        page = present(corpus).rejected(after, limit)
        return {"data": page.rows, "next": page.next}

    return router
