"""The application: one model, uploads, perhaps a corpus, and the page, behind one guard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.staticfiles import StaticFiles

import radfoundry
from radfoundry.corpus import Corpus
from radfoundry.serving.chat import chat_router
from radfoundry.serving.corpus_routes import corpus_router
from radfoundry.serving.corpus_view import CorpusView
from radfoundry.serving.desk import Desk, Load
from radfoundry.serving.files import files_router
from radfoundry.serving.guarding import Guard
from radfoundry.serving.health import Measured, Meters, health_router
from radfoundry.serving.images import PixelCache
from radfoundry.serving.models import ServedModel, models_router
from radfoundry.serving.places import Places
from radfoundry.serving.refusals import handle_refusals
from radfoundry.serving.retrieval import retrieval_router
from radfoundry.serving.review_routes import review_router
from radfoundry.serving.review_store import ReviewStore
from radfoundry.serving.settings import Settings
from radfoundry.serving.uploads import Uploads

__all__ = ["PAGE", "create_app"]

PAGE = Path(__file__).parent / "page"


def create_app(name: str, load: Load, settings: Settings, out: Path | None = None) -> FastAPI:
    """Return the application. name, load: of the model, which is loaded once the server runs. out: a corpus folder.

    Raises CorpusError where `out` holds no corpus.
    """
    pixels = PixelCache(settings.pixel_bytes)
    corpus = CorpusView(Corpus(out), pixels) if out is not None else None
    store = ReviewStore(out) if out is not None else None
    places = Places(Uploads(settings, pixels), corpus, settings.mask_bytes)
    desk = Desk(load, queue=settings.queue, batch=settings.batch, studies=settings.studies)
    model = ServedModel(name, desk)
    meters = Meters(model, pixels)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        desk.start()
        try:
            yield
        finally:
            await asyncio.to_thread(desk.stop)
            places.uploads.close()
            if store is not None:
                store.close()

    app = FastAPI(
        title="radfoundry",
        version=radfoundry.__version__,
        description="Research use only",
        lifespan=lifespan,
        docs_url=None,  # those pages fetch scripts from elsewhere
        redoc_url=None,
    )
    app.state.desk, app.state.places = desk, places
    handle_refusals(app)
    reading = asyncio.Semaphore(settings.reads)
    for router in (
        health_router(model, settings, meters, corpus is not None),
        models_router(model),
        chat_router(model, places),
        files_router(places, pixels, settings, reading),
        corpus_router(corpus),
        review_router(corpus, store),
        retrieval_router(corpus, places, model),
    ):
        app.include_router(router)
    _show_page(app)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Measured, meters=meters)
    return app


def _show_page(app: FastAPI) -> None:
    """Serve the built page at /; without one, say what is missing."""
    if (PAGE / "index.html").is_file():
        app.mount("/", StaticFiles(directory=PAGE, html=True))
        return

    @app.get("/", include_in_schema=False)
    def missing() -> Response:
        return Response(
            "The page was not built: see web/README.md. The API is here: /openapi.json\n", media_type="text/plain"
        )
