"""The real process: the official client and curl hold conversations with it; what goes wrong harms nobody else."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from pydantic import BaseModel
from serving_process import Server

pytestmark = pytest.mark.slow
openai = pytest.importorskip("openai", reason="the official client is in the extra dev")


class Finding(BaseModel):
    name: str
    side: Literal["left", "right", "none"]
    certain: bool


@pytest.fixture(scope="module")
def server(checkpoint: Path) -> Iterator[Server]:
    with Server(checkpoint) as running:
        yield running


@pytest.fixture(scope="module")
def official(server: Server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)


def taken_in(official, what: str, shared_data: Path) -> str:
    if what == "phantom":
        return httpx.post(f"{official.base_url!s}files/example", timeout=60).json()["id"]
    path = {"ct": "ct_totalseg/example_ct_sm.nii.gz", "x-ray": "openi_images/CXR25_IM-1024-2001.png"}[what]
    with (shared_data / path).open("rb") as stream:
        return official.files.create(file=stream, purpose="vision").id


@pytest.mark.parametrize("what", ["phantom", "ct", "x-ray"])
def test_the_official_client_holds_a_conversation(official, shared_data, what: str) -> None:
    assert official.models.list().data[0].id == "nano"
    file_id = taken_in(official, what, shared_data)
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "volume", "volume": {"file_id": file_id}},
                {"type": "text", "text": "What do you see?"},
            ],
        }
    ]
    for question in ("What is abnormal?", "Where is it?"):
        stream = official.chat.completions.create(model="nano", messages=messages, stream=True, max_tokens=10)
        text, last = "", None
        for chunk in stream:
            delta = chunk.choices[0].delta
            text += delta.content or ""
            last = getattr(delta, "radfoundry", None) or last
        assert last["notice"] == "Research use only"
        assert len(last["about"]["images"]) == 1
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": question}]
    whole = official.chat.completions.create(model="nano", messages=messages, max_tokens=10)
    assert whole.choices[0].message.content is not None
    assert whole.usage.completion_tokens > 0
    assert official.files.delete(file_id).deleted


@pytest.mark.parametrize("what", ["phantom", "ct", "x-ray"])
def test_curl_holds_the_same_conversation(server, shared_data, tmp_path, what: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")

    def curl(*words: object) -> str:
        done = subprocess.run(
            ["curl", "-sSN", "--max-time", "120", *map(str, words)], capture_output=True, text=True, check=True
        )
        return done.stdout

    if what == "phantom":
        file = json.loads(curl("-X", "POST", f"{server.url}/v1/files/example"))
    else:
        path = {"ct": "ct_totalseg/example_ct_sm.nii.gz", "x-ray": "openi_images/CXR25_IM-1024-2001.png"}[what]
        file = json.loads(curl("-F", f"file=@{shared_data / path}", "-F", "purpose=vision", f"{server.url}/v1/files"))
    first = [{"type": "volume", "volume": {"file_id": file["id"]}}, {"type": "text", "text": "What do you see?"}]
    messages: list[dict] = [{"role": "user", "content": first}]
    for _ in range(2):
        body = tmp_path / "body.json"
        body.write_text(json.dumps({"model": "nano", "messages": messages, "stream": True, "max_tokens": 8}))
        said = curl("-H", "Content-Type: application/json", "-d", f"@{body}", f"{server.url}/v1/chat/completions")
        events = [line[6:] for line in said.splitlines() if line.startswith("data: ")]
        assert events[-1] == "[DONE]"
        text = "".join(json.loads(e)["choices"][0]["delta"].get("content") or "" for e in events[:-1])
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "And on the left?"}]


def test_thirty_of_thirty_parsed_answers_are_valid(official) -> None:
    for seed in range(30):
        messages = [{"role": "user", "content": f"Finding number {seed}?"}]
        answer = official.chat.completions.parse(
            model="nano", messages=messages, response_format=Finding, temperature=1.5, seed=seed, max_tokens=120
        )
        assert isinstance(answer.choices[0].message.parsed, Finding)


def test_a_client_that_goes_away_frees_the_model(server, official) -> None:
    body = {
        "model": "nano",
        "messages": [{"role": "user", "content": "Go on for ever"}],
        "stream": True,
        "max_tokens": 2048,
    }
    began = time.perf_counter()
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as answer:
        next(answer.iter_lines())
    while httpx.get(f"{server.url}/v1/health").json()["queue"]["running"]:
        assert time.perf_counter() - began < 20, "a cancelled answer is still being written"
        time.sleep(0.05)
    assert official.chat.completions.create(model="nano", messages=[{"role": "user", "content": "Hello"}], max_tokens=2)


def test_a_client_that_sends_nothing_does_not_hold_up_the_others(server, official) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 100\r\n\r\n{{"
        slow.sendall(head.encode())
        assert official.chat.completions.create(
            model="nano", messages=[{"role": "user", "content": "Hello"}], max_tokens=2
        )
        slow.settimeout(60)
        assert b" 408 " in slow.recv(4096).splitlines()[0]


def test_several_questions_at_a_time_are_all_answered(server, official) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> str:
        messages = [{"role": "user", "content": f"Question {number}"}]
        return (
            official.chat.completions.create(model="nano", messages=messages, max_tokens=6).choices[0].message.content
        )

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(one, range(16)))
    assert together == [one(number) for number in range(16)]


def test_a_verdict_outlives_a_server_that_was_killed(checkpoint, phantom_corpora, tmp_path) -> None:
    from radfoundry.corpus import Corpus

    out = shutil.copytree(phantom_corpora["grounded-report"].path, tmp_path / "corpus")
    server = Server(checkpoint, out).start()
    case = httpx.get(f"{server.url}/v1/reviews/queue?reader=r1&limit=1", timeout=60).json()["data"][0]
    row = httpx.post(
        f"{server.url}/v1/reviews", json={"row_id": case["row_id"], "verdict": "wrong", "reader": "r1"}
    ).json()
    server.kill()
    with server:
        assert httpx.get(f"{server.url}/v1/reviews", timeout=60).json()["data"] == [row]
        assert Corpus(out).table("reviews").to_pylist() == [row]


def test_uploads_of_a_killed_server_are_swept_away(checkpoint, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = Server(checkpoint).start()
    httpx.post(f"{server.url}/v1/files", files={"file": b"\x89PNG"})
    server.kill()
    assert len(list(tmp_path.glob("radfoundry-serve-*"))) == 1
    with server:
        assert [str(server.process.pid) in f.name for f in tmp_path.glob("radfoundry-serve-*")] == [True]
    assert not list(tmp_path.glob("radfoundry-serve-*"))


def test_hosts_that_others_reach_want_a_token(checkpoint) -> None:
    import os
    import sys

    from serving_process import free_port

    words = [
        sys.executable,
        "-m",
        "radfoundry",
        "serve",
        "--model",
        str(checkpoint),
        "--host",
        "0.0.0.0",  # noqa: S104
        "--port",
        str(free_port()),
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        token = process.stdout.readline().removeprefix("token: ").strip()
        url = f"http://127.0.0.1:{words[-1]}"
        for _ in range(300):
            try:
                assert httpx.get(f"{url}/v1/models").status_code == 401
                break
            except httpx.TransportError:
                time.sleep(0.2)
        while (found := httpx.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {token}"})).status_code == 503:
            time.sleep(0.2)
        assert found.status_code == 200
        process.terminate()
