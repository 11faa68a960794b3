"""What is sent in error or in malice gets a clear status, and the next request is answered."""

from __future__ import annotations

import io
import json
import threading
import zipfile

import numpy as np
import pytest
from fastapi.testclient import TestClient
from serving_helpers import FAR, ask, client_of, data_url, nifti_bytes, png_bytes, ready, shown, upload

from radfoundry.errors import UsageError
from radfoundry.serving.app import create_app
from radfoundry.serving.pointing import Pointing
from radfoundry.serving.settings import Settings

CHAT = "/v1/chat/completions"


def refused(answer, status: int, kind: str, code: str | None = None) -> dict:
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (status, kind), answer.text
    assert code is None or error["code"] == code, error
    assert error["message"].startswith(error["what"])
    assert error["what"]
    return error


def still_answers(client, example) -> None:
    assert ask(client, shown(example, "What is abnormal?"))["choices"][0]["message"]["role"] == "assistant"


def chat(client, content, **more):
    return client.post(CHAT, json={"model": "nano", "messages": [{"role": "user", "content": content}], **more})


def test_an_oversized_upload_is_refused_by_its_length_before_it_is_read(answerer) -> None:
    with client_of(answerer, Settings(upload_bytes=1000)) as client:
        error = refused(upload(client, b"x" * 2000), 413, "too_large")
        assert "1,000" in error["why"]


def test_an_oversized_upload_that_hides_its_length_is_cut_off(answerer) -> None:
    with client_of(answerer, Settings(upload_bytes=10_000)) as client:

        def pieces():
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
            for _ in range(100):
                yield b"x" * 1000

        headers = {"content-type": "multipart/form-data; boundary=b"}
        refused(client.post("/v1/files", content=pieces(), headers=headers), 413, "too_large")
        assert client.get("/v1/health").status_code == 200


def zipped(*members: tuple[str, bytes], level: int = 9) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def test_a_zip_bomb_is_refused_by_what_it_declares(answerer, example) -> None:
    with client_of(answerer, Settings(unpacked_bytes=1 << 20)) as client:
        bomb = zipped(*((f"{i}.dcm", bytes(200_000)) for i in range(6)))
        assert len(bomb) < 10_000
        refused(upload(client, bomb), 422, "unreadable", "limit")


def test_an_archive_that_climbs_out_is_refused(client) -> None:
    for name in ("../../etc/cron.d/x", "/etc/passwd", "a/../../b", "C:\\x"):
        refused(upload(client, zipped((name, b"x"))), 422, "unreadable", "path")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/..%2f..%2fetc%2fpasswd",
        "/..%2f..%2fetc/passwd",
        "/v1/masks/..%2fx",
        "/%00",
        "/v1/files/%00",
        "/assets/../../app.py",
    ],
)
def test_an_address_that_climbs_out_finds_nothing(client, path: str) -> None:
    assert client.get(path).status_code == 404
    assert "root:" not in client.get(path).text


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04rubbish", b"\x1f\x8b\x08rubbish", b"\x89PNG\r\n\x1a\nrubbish", b"\xff\xd8\xffrubbish", b"hello" * 100,
     b"\0" * 344 + b"n+1\0" + b"\0" * 50],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_three_lines(client, data: bytes) -> None:
    error = refused(upload(client, data), 422, "unreadable")
    assert error["why"] or error["mend"]


def test_a_scan_whose_axes_do_not_stand_upright_is_refused_for_its_geometry(client) -> None:
    sheared = np.diag([1.0, 1, 1, 1])
    sheared[0, 1] = 0.5
    refused(upload(client, nifti_bytes(np.zeros((4, 4, 4), np.int16), sheared)), 422, "unreadable", "grid-sheared")


def test_a_wrong_token_opens_nothing_but_health_and_the_page(answerer) -> None:
    with client_of(answerer, FAR) as client:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "secret"},
            {"Authorization": "Bearer é".encode()},
        ):
            refused(client.get("/v1/models", headers=headers), 401, "unauthorized")
            refused(client.post(CHAT, content=b"{", headers=headers), 401, "unauthorized")
        assert client.get("/metrics").status_code == client.get("/openapi.json").status_code == 401
        assert client.get("/v1/health").status_code == client.get("/").status_code == 200
        ready(client)
        assert client.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_malformed_json_is_refused(client, example) -> None:
    headers = {"content-type": "application/json"}
    for body in (b"{", b"[]", b'{"model": "nano"', b"\xff\xfe", b'{"model": "nano", "messages": []}', b"null"):
        refused(client.post(CHAT, content=body, headers=headers), 400, "invalid_request")
    still_answers(client, example)


def test_unknown_fields_are_refused_and_those_of_openai_ignored(client, example) -> None:
    refused(chat(client, "hello", colour="red"), 400, "invalid_request")
    assert chat(client, shown(example, "What?"), user="me", logprobs=False, tools=[], max_tokens=2).status_code == 200


def test_an_unknown_model_is_not_found(client) -> None:
    body = {"model": "gpt-x", "messages": [{"role": "user", "content": "hello"}]}
    refused(client.post(CHAT, json=body), 404, "not_found", "model")


def test_more_markers_than_images_are_refused(client, example) -> None:
    refused(chat(client, shown(example, "<image> and <image>: what is new?")), 400, "invalid_request")
    assert ask(client, shown(example, "<image> What is this?"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x.png", "https://example.org/x.png", "file:///etc/passwd", "data:text/html;base64,QQ=="]
)
def test_nothing_is_fetched(client, url: str) -> None:
    refused(
        chat(client, [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What?"}]),
        400,
        "invalid_request",
    )


def test_a_data_url_that_is_no_picture_is_unreadable(client) -> None:
    url = "data:image/png;base64,aGVsbG8="
    refused(
        chat(client, [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What?"}]),
        422,
        "unreadable",
    )


def test_unknown_ids_are_not_found(client, example) -> None:
    for path in (
        "/v1/files/file-0",
        "/v1/images/img_0",
        "/v1/masks/msk_0",
        "/v1/masks/img_0.given",
        "/v1/files/img_0/volume",
        "/v1/nothing",
    ):
        refused(client.get(path), 404, "not_found")
    for volume in ({"file_id": "file-0"}, {"image_id": "img_0"}, {"study_id": "sty_0"}):
        refused(
            chat(client, [{"type": "volume", "volume": volume}, {"type": "text", "text": "What?"}]), 404, "not_found"
        )


@pytest.mark.parametrize(
    "region",
    [{"box": [0, 0, 0, 500, 5, 5]}, {"box": [5, 5, 5, 5, 6, 6]}, {"box": [1, 2]}, {"box": [0, 0, 9, 9]}, {}, {"mask_id": "x"},
     {"region_id": "reg_0", "name": "liver"}],
)  # fmt: skip
def test_regions_that_make_no_sense_are_refused(client, example, region: dict) -> None:
    content = [shown(example, "")[0], {"type": "region", "region": region}, {"type": "text", "text": "What is this?"}]
    refused(chat(client, content), 400, "invalid_request")


def test_too_many_images_are_refused(client) -> None:
    content = [{"type": "image_url", "image_url": {"url": data_url(png_bytes((20 + i, 20)))}} for i in range(5)]
    refused(chat(client, [*content, {"type": "text", "text": "What?"}]), 400, "invalid_request")


def test_another_sites_page_cannot_use_a_server_without_a_token(client) -> None:
    refused(client.get("/v1/models", headers={"Host": "evil.example"}), 400, "invalid_request", "host")
    refused(
        client.post("/v1/files/example", headers={"Origin": "https://evil.example"}), 400, "invalid_request", "origin"
    )
    assert client.get("/v1/models", headers={"Origin": "http://127.0.0.1"}).status_code == 200


def test_wrong_methods_and_long_tales_are_refused(client) -> None:
    refused(client.put("/v1/models"), 405, "invalid_request")
    refused(chat(client, "x" * 200_000), 400, "invalid_request")


def test_a_schema_that_cannot_be_enforced_is_refused(client) -> None:
    for schema in ({"type": "no-such-type"}, {"$ref": "#/$defs/missing"}):
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        refused(chat(client, "hello", response_format=wanted), 400, "invalid_request", "schema")


def test_no_corpus_is_said_so(client) -> None:
    for path in ("/v1/corpus", "/v1/corpus/studies", "/v1/reviews/queue", "/v1/reviews"):
        refused(client.get(path), 404, "not_found", "no-corpus")
    refused(client.post("/v1/retrieval", json={"text": "nodule"}), 404, "not_found", "no-corpus")


def test_a_full_queue_says_when_to_come_back(answerer) -> None:
    begin, hold = threading.Event(), threading.Event()

    with client_of(answerer, Settings(queue=1)) as client:
        ready(client)
        desk = client.app.state.desk
        original = desk._answer
        desk._answer = lambda batch, model: (begin.set(), hold.wait(20), original(batch, model))
        threads = [threading.Thread(target=lambda: chat(client, "Describe.", max_tokens=1)) for _ in range(2)]
        threads[0].start()
        assert begin.wait(20)
        threads[1].start()
        while desk.waiting < 1:
            pass
        answer = chat(client, "Describe.", max_tokens=1)
        error = refused(answer, 429, "queue_full")
        assert int(answer.headers["retry-after"]) >= 1
        assert "waiting" in error["why"]
        hold.set()
        for thread in threads:
            thread.join()
        assert chat(client, "Describe.", max_tokens=1).status_code == 200


def test_a_question_to_a_model_that_is_loading_is_told_to_wait(answerer) -> None:
    hold = threading.Event()
    app = create_app("nano", lambda: hold.wait(20) and answerer, Settings())
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = chat(client, "hello")
        refused(answer, 503, "unavailable")
        assert answer.headers["retry-after"]
        assert client.get("/v1/health").json()["status"] == "loading"
        hold.set()


def test_a_stream_that_fails_after_it_began_says_so_and_ends(client, example, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise UsageError("the places cannot be told", "why", "mend")

    monkeypatch.setattr(Pointing, "whole", fail)
    body = {
        "model": "nano",
        "stream": True,
        "max_tokens": 2,
        "messages": [{"role": "user", "content": shown(example, "Go")}],
    }
    events = [line[6:] for line in client.post(CHAT, json=body).text.splitlines() if line.startswith("data: ")]
    assert json.loads(events[-1])["error"]["what"] == "the places cannot be told"
