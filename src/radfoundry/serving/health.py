"""GET /v1/health and GET /metrics: what the server is doing, for people and for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psutil
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import radfoundry
from radfoundry.serving.images import PixelCache
from radfoundry.serving.models import ServedModel
from radfoundry.serving.settings import Settings

__all__ = ["Measured", "Meters", "health_router"]


class Meters:
    """The counters of one server, in a registry of its own."""

    def __init__(self, model: ServedModel, pixels: PixelCache) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("radfoundry_requests", "Requests answered", ["route", "status"], registry=self.registry)
        self.seconds = Histogram(
            "radfoundry_request_seconds",
            "From the first byte in to the last one out",
            ["route"],
            registry=self.registry,
        )
        self._model, self._pixels = model, pixels
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield what is read when somebody looks."""
        desk = self._model.desk
        values = {
            "radfoundry_queue_waiting": ("Questions that wait", desk.waiting),
            "radfoundry_queue_running": ("Questions being answered", desk.running),
            "radfoundry_answers_total": ("Questions answered", desk.answered),
            "radfoundry_tokens_total": ("Tokens written", desk.tokens),
            "radfoundry_pixel_bytes": ("Decoded images in memory", self._pixels.bytes),
            "radfoundry_memory_bytes": ("Resident memory of the server", psutil.Process().memory_info().rss),
        }
        for name, (text, value) in values.items():
            yield GaugeMetricFamily(name, text, value=value)


class Measured:
    """ASGI middleware that counts requests by route and status."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self.app, self.meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            # the route's own pattern: ids in a label would be endless, and say who was looked at
            route = getattr(scope.get("route"), "path", "other")
            self.meters.requests.labels(route, str(status)).inc()
            self.meters.seconds.labels(route).observe(time.perf_counter() - began)


def health_router(model: ServedModel, settings: Settings, meters: Meters, has_corpus: bool) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["health"])

    @router.get("/v1/health")
    def health() -> dict[str, Any]:
        """Say how the server is."""
        desk = model.desk
        return {
            "status": desk.state,
            "version": radfoundry.__version__,
            "model": model.name,
            "corpus": has_corpus,
            "queue": {"waiting": desk.waiting, "running": desk.running, "limit": desk.limit},
            "limits": {"upload_bytes": settings.upload_bytes},
        }

    @router.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Counters as Prometheus reads them."""
        return Response(generate_latest(meters.registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
