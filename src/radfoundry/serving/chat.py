"""POST /v1/chat/completions: whole answers and streams, in OpenAI's form with `radfoundry` beside the words."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from radfoundry.errors import RadfoundryError
from radfoundry.model import Question, Study
from radfoundry.model.looking import Look
from radfoundry.serving.chat_request import ChatRequest
from radfoundry.serving.closed import is_closed
from radfoundry.serving.conversation import Conversation, understand
from radfoundry.serving.desk import Answered, Asked, Told
from radfoundry.serving.models import ServedModel
from radfoundry.serving.places import Places
from radfoundry.serving.pointing import NOTICE, Pointing
from radfoundry.serving.refusals import Refusal, error_body, refused
from radfoundry.serving.schema import SchemaGuide, check_answer, schema_grammar

__all__ = ["chat_router"]

_POLL_SECONDS = 0.25
_WORDS, _JSON, _MOST = 192, 512, 2048  # tokens: for an answer in words, for one in JSON, at most


def chat_router(model: ServedModel, places: Places) -> APIRouter:
    """Return the route, over the desk of the one model."""
    router = APIRouter()

    @router.post("/v1/chat/completions", tags=["chat"])
    async def complete(request: Request, body: ChatRequest) -> Response:
        """Answer the last question of a conversation."""
        model.check(body.model)
        model.desk.admit()  # before anything is read for it
        began = time.perf_counter()
        talk = await run_in_threadpool(understand, body, places, model.max_images)
        turn = _Turn(body, talk, model, places, began)
        await turn.prepare()
        model.desk.put(turn.asked)
        if body.stream:
            return StreamingResponse(turn.stream(request.is_disconnected), media_type="text/event-stream")
        return await turn.answer(request.is_disconnected)

    return router


class _Gone(Exception):
    """The client closed the connection."""


class _Turn:
    """One question on its way through the desk."""

    def __init__(self, body: ChatRequest, talk: Conversation, model: ServedModel, places: Places, began: float) -> None:
        self.body, self.talk, self.model, self.began = body, talk, model, began
        self.pointing = Pointing(talk, places, sentences=body.schema_wanted is None)
        self.told: asyncio.Queue[Told] = asyncio.Queue()
        self.head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}
        self.looks: list[Look] = []
        self.guide: SchemaGuide | None = None
        loop = asyncio.get_running_loop()

        def tell(said: Told) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self.told.put_nowait, said)

        self.asked = Asked(talk.study, self._looks, self._question, tell)

    async def prepare(self) -> None:
        """Do what the model's thread need not wait for: read the pixels of a study that is not open, compile the schema."""
        if not self.model.desk.knows(self.talk.study):
            self.looks = await run_in_threadpool(self._looks)
        if self.body.schema_wanted is not None:
            self.guide = await run_in_threadpool(self._guide, self.body.schema_wanted)

    def _looks(self) -> list[Look]:
        return self.looks or [self.model.look(image) for image in self.talk.images]

    def _guide(self, schema: dict[str, Any]) -> SchemaGuide:
        return SchemaGuide(schema_grammar(schema), self.model.desk.answerer.processor, self._limit)

    @property
    def _limit(self) -> int:
        usual = _WORDS if self.body.schema_wanted is None else _JSON
        return min(self.body.limit or usual, _MOST)

    def _question(self, study: Study) -> Question:
        *history, last = self.talk.model_turns(study)
        closed = self.guide is None and is_closed(self.talk.asked)
        return Question(
            last.parts,
            choices=("Yes", "No") if closed else (),
            history=tuple(history),
            max_tokens=self._limit,
            image=self.talk.first,
            temperature=self.body.temperature or 0.0,
            top_p=self.body.top_p or 1.0,
            seed=(self.body.seed or 0) % (1 << 63),
            stop=self.body.stops,
            guide=self.guide,
            cancelled=self.asked.gone.is_set,
        )

    async def _next(self, disconnected: Callable[[], Awaitable[bool]]) -> Told | None:
        """Return what the desk says next; None after a while without a word. Raises _Gone where nobody listens any more."""
        try:
            return await asyncio.wait_for(self.told.get(), _POLL_SECONDS)
        except TimeoutError:
            if await disconnected():
                raise _Gone from None
            return None

    async def answer(self, disconnected: Callable[[], Awaitable[bool]]) -> Response:
        """Wait for the answer and return it whole."""
        try:
            while True:
                told = await self._next(disconnected)
                if isinstance(told, RadfoundryError | Refusal):
                    raise told
                if isinstance(told, Answered):
                    return JSONResponse(await self._whole(told))
        except _Gone:
            return Response(status_code=499)  # nobody reads it; the count of requests shows it
        finally:
            self.asked.gone.set()

    async def _whole(self, told: Answered) -> dict[str, Any]:
        places = await run_in_threadpool(self.pointing.whole, told, time.perf_counter() - self.began)
        self._check(told)
        message = {"role": "assistant", "content": told.answer.text, "refusal": None, "radfoundry": places}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(told)}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": _usage(told), "notice": NOTICE}

    def _check(self, told: Answered) -> None:
        if self.body.schema_wanted is not None and told.answer.finish == "stop":
            check_answer(told.answer.text, self.body.schema_wanted)

    async def stream(self, disconnected: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
        """Yield server-sent events; while the question waits, comments that say how many are before it."""
        text, before = "", None
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            while True:
                told = await self._next(disconnected)
                if told is None:
                    ahead = self.model.desk.ahead(self.asked)
                    if ahead is not None and ahead != before:
                        yield f": queued {ahead}\n\n"
                    before = ahead
                elif isinstance(told, str):
                    text += told
                    yield self._chunk({"content": told})
                    marks = await run_in_threadpool(self.pointing.grown, text)
                    if marks:
                        yield self._chunk({"radfoundry": {"marks": marks}})
                elif isinstance(told, Answered):
                    async for event in self._end(told, text):
                        yield event
                    return
                else:
                    raise told
        except (RadfoundryError, Refusal) as error:
            yield _event(error_body(error if isinstance(error, Refusal) else refused(error)))
        except _Gone:
            return
        finally:
            self.asked.gone.set()

    async def _end(self, told: Answered, sent: str) -> AsyncIterator[str]:
        rest = told.answer.text[len(sent) :]  # a choice comes in one piece
        if rest:
            yield self._chunk({"content": rest})
        places = await run_in_threadpool(self.pointing.whole, told, time.perf_counter() - self.began)
        self._check(told)
        yield self._chunk({"radfoundry": places}, _finish(told))
        if self.body.stream_options and self.body.stream_options.include_usage:
            yield _event({**self.head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(told)})
        yield "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({**self.head, "object": "chat.completion.chunk", "choices": [choice]})


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _finish(told: Answered) -> str:
    return "length" if told.answer.finish == "length" else "stop"


def _usage(told: Answered) -> dict[str, int]:
    read, written = told.answer.prompt_tokens, told.answer.tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
