"""DICOMweb over real sockets: a small server with just the two services here, and Orthanc where it is installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from study_files import numbered, save_series

from radfoundry.errors import LimitError, MachineError, UnreadableError, UsageError
from radfoundry.geometry import Grid
from radfoundry.studies import Limits, discover, read_image
from radfoundry.studies.dicomweb import DicomWeb, fetch_studies

GRID = Grid.axial((4, 5, 7), (2.0, 0.5, 0.75), (-10.0, -20.0, 30.0))
ANSWERS: dict[str, object] = {}


class Pacs(BaseHTTPRequestHandler):
    """Answers QIDO with UIDs and WADO with the files of a folder."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        ANSWERS.setdefault("asked", []).append(self.path)  # type: ignore[union-attr, attr-defined]
        if ANSWERS.get("status"):
            self.send_response(int(str(ANSWERS["status"])))
            self.end_headers()
        elif path.endswith("/series/1.2.3.4"):
            self._send(*_multipart(Path(str(ANSWERS["folder"]))))
        else:
            tag, uid = (
                ("0020000E", "1.2.3.4") if path.endswith("/series") else ("0020000D", ANSWERS.get("uid", "1.2.3"))
            )
            body = ANSWERS.get("body", json.dumps([{tag: {"vr": "UI", "Value": [uid]}}]))
            self._send("application/dicom+json", str(body).encode())

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def _multipart(folder: Path) -> tuple[str, bytes]:
    parts = [
        b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + p.read_bytes() + b"\r\n" for p in sorted(folder.iterdir())
    ]
    return 'multipart/related; type="application/dicom"; boundary=xyz', b"".join(parts) + b"--xyz--\r\n"


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[DicomWeb]:
    ANSWERS.clear()
    ANSWERS["folder"] = tmp_path / "pacs"
    save_series(tmp_path / "pacs", numbered(GRID), GRID)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pacs)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield DicomWeb(f"http://127.0.0.1:{server.server_port}/dicom-web", seconds=5)
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_study_fetched_reads_as_it_was_sent(pacs: DicomWeb, tmp_path: Path) -> None:
    (place,) = fetch_studies(pacs, tmp_path / "here", {"ModalitiesInStudy": "CT"})
    (study,) = discover(place).studies
    assert np.array_equal(read_image(study.images[0]).pixels, numbered(GRID))
    assert study.key == "1.2.3"
    assert any("ModalitiesInStudy=CT" in path for path in ANSWERS["asked"])  # type: ignore[attr-defined]


def test_a_second_call_fetches_no_series_again(pacs: DicomWeb, tmp_path: Path) -> None:
    fetch_studies(pacs, tmp_path / "here")
    ANSWERS["asked"] = []
    fetch_studies(pacs, tmp_path / "here")
    assert not [path for path in ANSWERS["asked"] if path.endswith("1.2.3.4")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("uid", ["../../etc", "1.2/3", "", "1" * 65, "1..2"])
def test_a_uid_that_could_name_another_folder_is_refused(pacs: DicomWeb, tmp_path: Path, uid: str) -> None:
    ANSWERS["uid"] = uid
    with pytest.raises(UnreadableError, match="no valid UID"):
        fetch_studies(pacs, tmp_path / "here")


@pytest.mark.parametrize("body", ["<html>", '{"a": 1}', "[{}]"])
def test_answers_that_are_none_say_so(pacs: DicomWeb, tmp_path: Path, body: str) -> None:
    ANSWERS["body"] = body
    with pytest.raises(UnreadableError):
        fetch_studies(pacs, tmp_path / "here")


def test_a_server_that_fails_is_asked_again_and_then_named(pacs: DicomWeb, tmp_path: Path) -> None:
    ANSWERS["status"] = 503
    with pytest.raises(MachineError, match="status 503"):
        fetch_studies(pacs, tmp_path / "here")
    assert len(ANSWERS["asked"]) == 3  # type: ignore[arg-type]


def test_a_closed_door_is_the_callers_to_open(pacs: DicomWeb, tmp_path: Path) -> None:
    ANSWERS["status"] = 401
    with pytest.raises(UsageError, match="does not let you in"):
        fetch_studies(pacs, tmp_path / "here")


def test_more_than_the_limit_is_not_taken(pacs: DicomWeb, tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="answers more than it may"):
        fetch_studies(pacs, tmp_path / "here", limits=Limits(image_bytes=500))
    assert not list((tmp_path / "here").rglob("*.dcm"))


def test_addresses_are_told_from_paths() -> None:
    for source in ("http://127.0.0.1:8042/dicom-web", Path("http://127.0.0.1:8042/dicom-web")):
        assert DicomWeb.at(source) == DicomWeb("http://127.0.0.1:8042/dicom-web")
    assert DicomWeb.at("/data/http") is None


ORTHANC = shutil.which("Orthanc") or shutil.which("orthanc")


@pytest.mark.slow
@pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
def test_a_real_pacs_gives_back_what_was_stored(tmp_path: Path, shared_data: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "HttpPort": port, "DicomServerEnabled": False, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "StorageDirectory": str(tmp_path / "store"), "IndexDirectory": str(tmp_path / "store"), "Plugins": ["/usr/share/orthanc/plugins"],
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with subprocess.Popen([str(ORTHANC), str(tmp_path / "orthanc.json")], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/system")
            for path in sorted((shared_data / "dicom_seg_sr" / "dcmqi_small" / "24x38x3" / "image").iterdir()):
                httpx.post(f"http://127.0.0.1:{port}/instances", content=path.read_bytes()).raise_for_status()
            address = f"http://127.0.0.1:{port}/dicom-web"
            (place,) = fetch_studies(DicomWeb(address), tmp_path / "here")
            command = [sys.executable, "-m", "radfoundry"]
            said = subprocess.run([*command, "doctor", address, "--json"], capture_output=True, text=True, check=True)
            subprocess.run(
                [*command, "build", "description", address, str(tmp_path / "out"), "--workers", "0"], check=True
            )
        finally:
            process.terminate()
            process.wait()
    assert '"code": "reads"' in said.stdout
    assert (tmp_path / "out" / "corpus.json").exists()
    ours = read_image(discover(place).studies[0].images[0])
    stored = read_image(
        discover(shared_data / "dicom_seg_sr" / "dcmqi_small" / "24x38x3" / "image").studies[0].images[0]
    )
    assert np.array_equal(ours.pixels, stored.pixels)
    assert ours.grid == stored.grid


def _wait_for(url: str) -> None:
    for _ in range(100):
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise TimeoutError(url)
