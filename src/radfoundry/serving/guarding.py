"""What every request passes before any of it is read: the token, who asks from where, how long its body is, how fast it comes."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radfoundry.serving.refusals import Refusal, error_body
from radfoundry.serving.settings import LOOPBACK, Settings

__all__ = ["Guard"]

_HEADERS = (
    (b"content-security-policy",
     b"default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)  # fmt: skip
_UPLOADS = "/v1/files"


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it without having read its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        try:
            limit = self._check(scope)
            await self.app(scope, _bounded(receive, limit, self.settings.body_seconds), sending)
        except Refusal as refusal:
            if not begun:
                await _refuse(refusal, sending)

    def _check(self, scope: Scope) -> int:
        """Return how many bytes the body may have."""
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        if "\0" in scope["path"]:  # no file system takes it
            raise Refusal(404, "There is nothing at this address.")
        self._check_origin(headers)
        self._check_token(scope["path"], headers)
        return self._check_length(scope, headers)

    def _check_origin(self, headers: dict[str, str]) -> None:
        """A server without a token answers only to its own page and to programs, whatever name a web site gives to this machine."""
        if not self.settings.loopback or self.settings.token:
            return
        host = headers.get("host", "")
        if _name(host) not in LOOPBACK:
            raise Refusal(
                400,
                "This server answers on this machine alone.",
                "The Host header names another one.",
                "Start it with --host and --token to reach it from elsewhere.",
                code="host",
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refusal(
                400, "Another site's page may not use this server.", "The Origin header names it.", code="origin"
            )

    def _check_token(self, path: str, headers: dict[str, str]) -> None:
        wanted = self.settings.token
        if not wanted or not _locked(path):
            return
        given = headers.get("authorization", "").partition(" ")[2]
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            raise Refusal(
                401,
                "This server asks for its token.",
                "The request has none, or another one.",
                "Send Authorization: Bearer TOKEN; the token was printed when the server was started.",
            )

    def _check_length(self, scope: Scope, headers: dict[str, str]) -> int:
        uploading = scope["path"] == _UPLOADS and scope["method"] == "POST"
        limit = self.settings.upload_bytes if uploading else self.settings.request_bytes
        declared = headers.get("content-length", "0")
        if not declared.isdecimal():
            raise Refusal(400, "The length of the request is not a number.")
        if int(declared) > limit:
            raise _too_large(limit)
        return limit


def _locked(path: str) -> bool:
    """The page and its files are open, and so is the state of the server's health."""
    return path != "/v1/health" and (path.startswith("/v1") or path in ("/metrics", "/openapi.json"))


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _bounded(receive: Receive, limit: int, seconds: float) -> Callable[[], asyncio.Future[Message]] | Receive:
    """Count a body while it comes, and wait only so long for its next piece."""
    taken, whole = 0, False

    async def receiving() -> Message:
        nonlocal taken, whole
        if whole:  # what comes now is the end of the connection, which may be far off
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), seconds)
        except TimeoutError:
            raise Refusal(
                408, "The request did not arrive.", f"Nothing came for {seconds:g} seconds.", "Send it again."
            ) from None
        taken += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if taken > limit:
            raise _too_large(limit)
        return message

    return receiving


def _too_large(limit: int) -> Refusal:
    return Refusal(
        413,
        "The request is too large.",
        f"The limit is {limit:,} bytes.",
        "Send one study; several can be sent one after the other.",
    )


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = json.dumps(error_body(refusal)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(key.lower().encode(), value.encode()) for key, value in (refusal.headers or {}).items()]
    headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
