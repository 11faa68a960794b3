"""POST /v1/retrieval: texts find studies and studies find texts, by the words of reports and by what the model sees in images."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import Annotated, Any

import bm25s
import numpy as np
import numpy.typing as npt
import torch
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from radfoundry.errors import RowError
from radfoundry.serving.corpus_routes import no_corpus
from radfoundry.serving.corpus_view import CorpusView
from radfoundry.serving.images import SharedImage
from radfoundry.serving.models import ServedModel
from radfoundry.serving.places import Places

__all__ = ["Library", "retrieval_router"]

_LOOKED_AT = 500  # images of the corpus that are encoded for comparison, at most


class Wanted(BaseModel):
    """The body of POST /v1/retrieval."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(None, min_length=1, max_length=20_000)
    file_id: str | None = None
    image_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10

    @model_validator(mode="after")
    def _one(self) -> Wanted:
        if sum(given is not None for given in (self.text, self.file_id, self.image_id)) != 1:
            raise ValueError("retrieval starts from one of text, file_id, image_id")
        return self


class Library:
    """The reports of a corpus as an index of words, and its images as one feature each, made when first asked for."""

    def __init__(self, view: CorpusView, model: ServedModel) -> None:
        self._view, self._model = view, model
        self._lock = Lock()

    @cached_property
    def texts(self) -> dict[str, str]:
        """Study id -> its report's text."""
        rows = self._view.corpus.table("reports", columns=["study_id", "text"]).to_pylist()
        return {row["study_id"]: row["text"] for row in rows}

    @cached_property
    def _words(self) -> Any:
        index = bm25s.BM25()
        index.index(bm25s.tokenize(list(self.texts.values()), show_progress=False), show_progress=False)
        return index

    def by_text(self, text: str, limit: int) -> list[dict[str, Any]]:
        """Return the studies whose reports share the rarest words with a text; none that share no word."""
        tokens = bm25s.tokenize([text], show_progress=False, return_ids=False)[0]
        known = [token for token in tokens if token in self._words.vocab_dict] if self.texts else []
        if not known:
            return []
        scores = self._words.get_scores(known)
        return self._best(list(self.texts), scores, limit, least=0.0)

    def by_image(self, image: SharedImage, limit: int) -> list[dict[str, Any]]:
        """Return the studies whose images look most alike to the model (cosine of averaged features), with their texts."""
        studies, table = self._features
        own = self._feature(image)
        if own is None or not len(table):
            return []
        scores = table @ own
        best: dict[str, float] = {}
        for study, score in zip(studies, scores.tolist(), strict=True):
            best[study] = max(score, best.get(study, -1.0))
        return self._best(list(best), np.array(list(best.values())), limit, least=-2.0)

    def _best(self, studies: list[str], scores: npt.NDArray, limit: int, least: float) -> list[dict[str, Any]]:
        order = np.argsort(-scores, kind="stable")[:limit]
        return [
            {"study_id": studies[i], "score": round(float(scores[i]), 4), "text": self.texts.get(studies[i], "")}
            for i in order.tolist()
            if scores[i] > least
        ]

    @cached_property
    def _features(self) -> tuple[list[str], npt.NDArray[np.float32]]:
        with self._lock:
            rows = self._view.corpus.table("images", columns=["image_id", "study_id"]).to_pylist()[:_LOOKED_AT]
            found = [(row["study_id"], self._feature(self._view.image(row["image_id"]))) for row in rows]
            kept = [(study, feature) for study, feature in found if feature is not None]
        features = np.stack([feature for _, feature in kept]) if kept else np.zeros((0, 1), np.float32)
        return [study for study, _ in kept], features

    @torch.inference_mode()
    def _feature(self, image: SharedImage | None) -> npt.NDArray[np.float32] | None:
        """The average of what the encoder says of the image's patches, of length one; None where its pixels cannot be read."""
        if image is None:
            return None
        try:
            pixels = self._model.look(image).pixels
        except RowError:
            return None
        answerer = self._model.desk.answerer
        features, _ = answerer.model.encode_image(pixels.to(answerer.device, answerer.dtype))
        mean = features.tokens.flatten(0, -2).mean(dim=0).float().cpu().numpy()
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def retrieval_router(corpus: CorpusView | None, places: Places, model: ServedModel) -> APIRouter:
    """Return the route."""
    router = APIRouter()
    library = Library(corpus, model) if corpus is not None else None

    @router.post("/v1/retrieval", tags=["retrieval"])
    def retrieve(body: Wanted) -> dict[str, Any]:
        """Find studies, best first."""
        if library is None:
            raise no_corpus()
        if body.text is not None:
            found = library.by_text(body.text, body.limit)
        else:
            found = library.by_image(places.image(body.file_id or body.image_id or ""), body.limit)
        return {"object": "list", "data": found}

    return router
