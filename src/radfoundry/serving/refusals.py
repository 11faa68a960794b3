"""How a server says no: one exception, one JSON form, and which of our errors becomes which status."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from radfoundry.errors import CorpusError, MachineError, MissingExtraError, RadfoundryError, RowError

__all__ = ["Refusal", "error_body", "handle_refusals", "refused"]

_KINDS = {
    400: "invalid_request",
    401: "unauthorized",
    404: "not_found",
    405: "invalid_request",
    408: "too_slow",
    413: "too_large",
    422: "unreadable",
    429: "queue_full",
    503: "unavailable",
}


class Refusal(HTTPException):
    """A request that is not served, and why; `code` is the kind of its status where nothing finer is known."""

    def __init__(
        self, status: int, what: str, why: str = "", mend: str = "", *, code: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(status, what, {"Retry-After": str(retry_after)} if retry_after else None)
        self.what, self.why, self.mend = what, why, mend
        self.code = code or _KINDS.get(status, "internal")


def refused(error: RadfoundryError) -> Refusal:
    """Return the refusal that an error of ours leads to."""
    status = 400
    if isinstance(error, RowError):
        status = 422
    elif isinstance(error, MachineError | MissingExtraError):
        status = 503
    elif isinstance(error, CorpusError):
        status = 404
    code = "limit" if error.code.startswith("limit-") else error.code
    return Refusal(status, error.what, error.why, error.mend, code=code, retry_after=5 if status == 503 else 0)


def error_body(refusal: Refusal) -> dict[str, Any]:
    """Return the JSON of a refusal."""
    lines = [refusal.what, refusal.why, refusal.mend]
    return {
        "error": {
            "message": "\n".join(line for line in lines if line),
            "type": _KINDS.get(refusal.status_code, "internal"),
            "code": refusal.code,
            "what": refusal.what,
            "why": refusal.why,
            "mend": refusal.mend,
        }
    }


def handle_refusals(app: FastAPI) -> None:
    """Give every failure of an application the one JSON form; what nobody foresaw says nothing of the inside."""

    def reply(refusal: Refusal) -> JSONResponse:
        return JSONResponse(error_body(refusal), refusal.status_code, headers=refusal.headers)

    @app.exception_handler(RadfoundryError)
    async def ours(_: Request, error: RadfoundryError) -> JSONResponse:
        return reply(refused(error))

    @app.exception_handler(Refusal)
    async def refusal(_: Request, error: Refusal) -> JSONResponse:
        return reply(error)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        what = {404: "There is nothing at this address.", 405: "This address does not answer that method."}
        status = error.status_code
        mend = "GET /openapi.json lists what there is."
        return reply(Refusal(status, what.get(status, str(error.detail)), "", mend))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return reply(Refusal(400, "The request is not as the API wants it.", _first(error), "See docs/api.md."))

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> JSONResponse:
        mend = "Send the server's log to whoever runs it."
        return reply(Refusal(500, "The server failed.", type(error).__name__, mend))


def _first(error: RequestValidationError) -> str:
    """The first thing that is wrong: where, and what; never the value, which may be a patient's."""
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg']}"
