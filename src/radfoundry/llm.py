"""The one door to language models: chat over an OpenAI-compatible endpoint, many at once, retried, and bounded in every direction.

An endpoint may answer garbage, slowly, with errors, without end, or never. Each question costs at most `tries` requests of at most
`seconds` and `most_bytes` each; after `give_up_after` failed questions in a row nothing more is sent. What came back is data: text of at
most `most_characters`, never executed. The key is read from the environment variable RADFOUNDRY_LLM_KEY and sent to the endpoint alone;
redirects are not followed.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from radfoundry.errors import RadfoundryError, UsageError

__all__ = ["KEY_VARIABLE", "Endpoint", "Message", "Reply", "ask", "ask_all"]

KEY_VARIABLE = "RADFOUNDRY_LLM_KEY"
Message = Mapping[str, Any]
"""A message as the chat format has it: {"role": ..., "content": text or a list of parts}."""

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class Reply(NamedTuple):
    """What came back for one question.

    error: "" or why there is no text, `kind: particulars`; requests: how many were sent; tokens: of prompt and answer as the endpoint
    counts them, over all requests that were answered.
    """

    text: str
    error: str = ""
    requests: int = 0
    seconds: float = 0.0
    prompt_tokens: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True)
class Endpoint:
    """Where a model is and how it is asked.

    url: up to and without `/chat/completions`; settings: further fields of the request, such as temperature; together: requests at the
    same time; wait: seconds before a second try, doubled each time, at most `longest_wait`; a Retry-After is kept to within it.
    """

    url: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0})
    max_tokens: int = 512
    together: int = 8
    tries: int = 3
    seconds: float = 120.0
    wait: float = 1.0
    longest_wait: float = 30.0
    most_bytes: int = 4_000_000
    most_characters: int = 100_000
    give_up_after: int = 24

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise UsageError(
                f"{self.url!r} is no address", "it begins with http:// or https://", "openai:http://HOST:PORT/v1#MODEL"
            )
        if (
            min(self.together, self.tries, self.max_tokens, self.most_bytes, self.give_up_after) < 1
            or self.seconds <= 0
        ):
            raise UsageError("an endpoint's bounds are positive", "", "leave them as they are")

    @property
    def address(self) -> str:
        """The full address of chat completions."""
        return f"{self.url.rstrip('/')}/chat/completions"


def ask(endpoint: Endpoint, messages: Sequence[Message]) -> Reply:
    """Return the reply to one conversation."""
    return next(iter(ask_all(endpoint, [messages])))[1]


def ask_all(endpoint: Endpoint, conversations: Sequence[Sequence[Message]]) -> Iterator[tuple[int, Reply]]:
    """Yield (place, reply) of every conversation as replies come, each exactly once; never raises for what the endpoint does.

    Conversations are taken when they are sent, so a sequence may make them (with their pictures) on demand. The requests run in a thread
    of their own, so that it works inside a running event loop too; leaving the iterator early ends them.
    """
    replies: queue.Queue[tuple[int, Reply] | BaseException | None] = queue.Queue()
    stop = threading.Event()
    worker = threading.Thread(target=_run, args=(endpoint, conversations, replies, stop), daemon=True)
    worker.start()
    try:
        while (got := replies.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got
    finally:
        stop.set()
        worker.join()


def _run(
    endpoint: Endpoint, conversations: Sequence[Sequence[Message]], replies: queue.Queue[Any], stop: threading.Event
) -> None:
    try:
        asyncio.run(_Session(endpoint, conversations, replies, stop).run())
    except BaseException as error:  # noqa: BLE001 - handed to the thread that asked, which raises it
        replies.put(error)
    finally:
        replies.put(None)


class _Session:
    """One `ask_all`: workers that take the next conversation each, until none is left."""

    def __init__(
        self,
        endpoint: Endpoint,
        conversations: Sequence[Sequence[Message]],
        replies: queue.Queue[Any],
        stop: threading.Event,
    ) -> None:
        self.endpoint, self.conversations, self.replies, self.stop = endpoint, conversations, replies, stop
        self.next = iter(range(len(conversations)))
        self.failed_in_a_row = 0

    async def run(self) -> None:
        key = os.environ.get(KEY_VARIABLE, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(headers=headers, timeout=None, follow_redirects=False, trust_env=False) as client:  # noqa: S113
            workers = min(self.endpoint.together, len(self.conversations))
            work = asyncio.gather(*(self._work(client) for _ in range(workers)))
            while not work.done():
                await asyncio.wait([work], timeout=0.2)
                if self.stop.is_set():
                    work.cancel()
                    return
            work.result()

    async def _work(self, client: httpx.AsyncClient) -> None:
        for place in self.next:
            if self.failed_in_a_row >= self.endpoint.give_up_after:
                reply = Reply("", f"not asked: {self.failed_in_a_row} questions in a row had failed")
            else:
                reply = await self._prepared(client, place)
                self.failed_in_a_row = self.failed_in_a_row + 1 if reply.error else 0
            self.replies.put((place, reply))

    async def _prepared(self, client: httpx.AsyncClient, place: int) -> Reply:
        """Make the messages in another thread: drawing a volume would keep every answer waiting."""
        try:
            messages = await asyncio.to_thread(self.conversations.__getitem__, place)
        except RadfoundryError as error:
            return Reply("", f"cannot be asked: {error.what}")
        return await self._ask(client, messages)

    async def _ask(self, client: httpx.AsyncClient, messages: Sequence[Message]) -> Reply:
        began, endpoint = time.perf_counter(), self.endpoint
        body = {
            "model": endpoint.model,
            "messages": list(messages),
            "max_tokens": endpoint.max_tokens,
            **endpoint.settings,
        }
        tokens = [0, 0]
        got = _Got()
        for number in range(1, endpoint.tries + 1):
            got = await self._request(client, body)
            tokens = [tokens[0] + got.tokens[0], tokens[1] + got.tokens[1]]
            if not got.again or number == endpoint.tries:
                break
            wanted = got.wait if got.wait is not None else endpoint.wait * 2 ** (number - 1)
            await asyncio.sleep(min(max(wanted, 0.0), endpoint.longest_wait))
        return Reply(got.text, got.error, number, time.perf_counter() - began, *tokens)

    async def _request(self, client: httpx.AsyncClient, body: Mapping[str, Any]) -> _Got:
        try:
            async with asyncio.timeout(self.endpoint.seconds):
                async with client.stream("POST", self.endpoint.address, json=body) as response:
                    raw = await _bounded(response, self.endpoint.most_bytes)
                    if response.status_code != 200:
                        return _refused(response, raw or b"")
        except TimeoutError:
            return _Got(error=f"too slow: no whole answer in {self.endpoint.seconds:g} s", again=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _Got(error=f"no connection: {type(error).__name__} {error}"[:300], again=True)
        if raw is None:
            return _Got(error=f"too large: over {self.endpoint.most_bytes} bytes")
        return _read(raw, self.endpoint.most_characters)


@dataclass(frozen=True)
class _Got:
    """What one request gave; again: a second try may help."""

    text: str = ""
    error: str = "not asked"
    again: bool = False
    wait: float | None = None
    tokens: tuple[int, int] = (0, 0)


async def _bounded(response: httpx.Response, most: int) -> bytes | None:
    """The body, unpacked as it comes; None where it is larger than `most`."""
    parts, size = [], 0
    async for part in response.aiter_bytes(65536):
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _refused(response: httpx.Response, raw: bytes) -> _Got:
    after = response.headers.get("retry-after", "")
    wait = float(after) if after.isdecimal() else None
    words = raw[:200].decode("utf-8", "replace")
    return _Got(error=f"status {response.status_code}: {words}", again=response.status_code in _AGAIN, wait=wait)


def _read(raw: bytes, most_characters: int) -> _Got:
    """The text of a chat completion. Anything else is garbage, and is asked for again."""
    try:
        body = json.loads(raw)
        choice = body["choices"][0]
        text = choice["message"]["content"]
        used = body.get("usage") or {}
        tokens = (_count(used.get("prompt_tokens")), _count(used.get("completion_tokens")))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        return _Got(error=f"garbage: {type(error).__name__} in {raw[:80].decode('utf-8', 'replace')!r}", again=True)
    if text is None:
        return _Got(error=f"no text: finished for {str(choice.get('finish_reason'))[:40]!r}", tokens=tokens)
    if not isinstance(text, str):
        return _Got(error=f"garbage: content is a {type(text).__name__}", again=True, tokens=tokens)
    # lone surrogates can come out of JSON escapes, and go into no file
    return _Got(text[:most_characters].encode("utf-8", "replace").decode("utf-8"), "", tokens=tokens)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0
