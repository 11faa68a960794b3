"""The one door to language models against a real server: well, garbage, slow, errors, never, giant; counted, reported, bounded."""

from __future__ import annotations

import asyncio
import time

import pytest

from radfoundry import llm
from radfoundry.errors import UnreadableError, UsageError

QUICK = {"tries": 2, "seconds": 0.5, "wait": 0.01, "together": 4}


def conversations(n: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": f"question {k}"}] for k in range(n)]


def endpoint(server, **settings) -> llm.Endpoint:
    return llm.Endpoint(server.url, "toy", **(QUICK | {"seconds": 20} | settings))


def test_every_question_is_answered_once_and_its_tokens_are_counted(chat_server) -> None:
    server = chat_server("well")
    replies = dict(llm.ask_all(endpoint(server), conversations(20)))
    assert sorted(replies) == list(range(20))
    assert {r.text for r in replies.values()} == {"yes"}
    assert sum(r.prompt_tokens for r in replies.values()) == 200
    assert sum(r.answer_tokens for r in replies.values()) == 40
    assert sorted(r["asked"] for r in server.requests) == sorted(f"question {k}" for k in range(20))


def test_questions_go_out_together(chat_server) -> None:
    server = chat_server("slow")  # 0.3 s each
    began = time.perf_counter()
    replies = list(llm.ask_all(endpoint(server, together=12), conversations(12)))
    assert all(not r.error for _, r in replies)
    assert time.perf_counter() - began < 12 * 0.3


@pytest.mark.parametrize(
    ("behaviour", "error", "requests"),
    [
        ("not-json", "garbage: JSONDecodeError", 2),
        ("no-choices", "garbage: IndexError", 2),
        ("number", "garbage: content is a int", 2),
        ("500", "status 500: out of order", 2),
        ("401", "status 401: out of order", 1),
        ("hang-up", "no connection: ", 2),
        ("redirect", "status 302", 1),
    ],
)
def test_what_is_no_answer_is_reported_by_its_kind_after_so_many_tries(chat_server, behaviour, error, requests) -> None:
    server = chat_server(behaviour)
    reply = llm.ask(endpoint(server), conversations(1)[0])
    assert reply.error.startswith(error)
    assert reply.text == ""
    assert reply.requests == requests == len(server.requests)


@pytest.mark.parametrize("behaviour", ["never", "drip"])
def test_an_endpoint_that_never_ends_is_left_in_time(chat_server, behaviour) -> None:
    server = chat_server(behaviour)
    began = time.perf_counter()
    reply = llm.ask(endpoint(server, seconds=0.3), conversations(1)[0])
    assert reply.error == "too slow: no whole answer in 0.3 s"
    assert time.perf_counter() - began < 5


def test_a_giant_answer_is_cut_off_and_not_asked_for_again(chat_server) -> None:
    server = chat_server("giant")
    reply = llm.ask(endpoint(server, most_bytes=100_000), conversations(1)[0])
    assert reply.error == "too large: over 100000 bytes"
    assert len(server.requests) == 1


def test_a_long_answer_within_the_bytes_is_cut_to_its_characters(chat_server) -> None:
    reply = llm.ask(endpoint(chat_server("giant"), most_bytes=6_000_000, most_characters=1000), conversations(1)[0])
    assert reply.text == "x" * 1000


def test_garbage_that_is_text_is_an_answer_that_can_be_written(chat_server) -> None:
    reply = llm.ask(endpoint(chat_server("garbage")), conversations(1)[0])
    assert not reply.error
    reply.text.encode("utf-8")


def test_busy_endpoints_are_asked_again(chat_server) -> None:
    server = chat_server("429-once")
    replies = dict(llm.ask_all(endpoint(server), conversations(5)))
    assert all(r.text == "yes" and r.requests == 2 for r in replies.values())
    flaky = dict(llm.ask_all(endpoint(chat_server("flaky"), tries=4, together=1), conversations(9)))
    assert all(r.text == "yes" for r in flaky.values())


def test_nothing_more_is_sent_after_so_many_failures_in_a_row(chat_server) -> None:
    server = chat_server("401")
    replies = dict(llm.ask_all(endpoint(server, give_up_after=3, together=1), conversations(50)))
    assert len(replies) == 50
    assert len(server.requests) == 3
    assert sum(r.error.startswith("not asked: 3 questions in a row") for r in replies.values()) == 47


def test_nobody_there_is_an_error_not_a_crash() -> None:
    reply = llm.ask(llm.Endpoint("http://127.0.0.1:9/v1", "toy", **QUICK), conversations(1)[0])
    assert reply.error.startswith("no connection: ConnectError")


def test_the_key_goes_to_the_endpoint_and_into_no_error(chat_server, monkeypatch) -> None:
    monkeypatch.setenv(llm.KEY_VARIABLE, "secret-words")
    server = chat_server("401")
    reply = llm.ask(endpoint(server), conversations(1)[0])
    assert server.requests[0]["key"] == "Bearer secret-words"
    assert "secret-words" not in reply.error + repr(endpoint(server))


def test_leaving_early_stops_asking(chat_server) -> None:
    server = chat_server("slow")
    for _ in llm.ask_all(endpoint(server, together=1), conversations(30)):
        break
    sent = len(server.requests)
    time.sleep(0.7)
    assert len(server.requests) <= sent + 1 < 30


def test_it_works_inside_a_running_event_loop(chat_server) -> None:
    server = chat_server("well")

    async def inside() -> str:
        return llm.ask(endpoint(server), conversations(1)[0]).text

    assert asyncio.run(inside()) == "yes"


def test_a_question_that_cannot_be_made_is_an_error_of_its_own(chat_server) -> None:
    class Broken(list):
        def __getitem__(self, place):
            if place == 1:
                raise UnreadableError("the picture is cut short", "", "")
            return super().__getitem__(place)

    replies = dict(llm.ask_all(endpoint(chat_server("well")), Broken(conversations(3))))
    assert replies[1].error == "cannot be asked: the picture is cut short"
    assert replies[0].text == replies[2].text == "yes"


def test_no_questions_are_no_requests(chat_server) -> None:
    server = chat_server("well")
    assert list(llm.ask_all(endpoint(server), [])) == []
    assert server.requests == []


@pytest.mark.parametrize(
    ("url", "settings"), [("ftp://x", {}), ("http://x", {"tries": 0}), ("http://x", {"seconds": 0})]
)
def test_bounds_that_bound_nothing_are_refused(url, settings) -> None:
    with pytest.raises(UsageError):
        llm.Endpoint(url, "toy", **settings)
