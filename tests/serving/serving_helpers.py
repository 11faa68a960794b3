"""What the tests of the server share: applications in this process, uploads, questions."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from radfoundry.model import Answerer
from radfoundry.serving.app import create_app
from radfoundry.serving.settings import Settings

HERE = "http://127.0.0.1"
FAR = Settings(host="0.0.0.0", token="secret")  # noqa: S104, S106
WITH_TOKEN = {"Authorization": "Bearer secret"}


def client_of(answerer: Answerer, settings: Settings | None = None, out: Path | None = None) -> TestClient:
    """A client over an application; used as a context, so that the model's thread runs."""
    app = create_app("nano", lambda: answerer, settings or Settings(), out)
    return TestClient(app, base_url=HERE, raise_server_exceptions=False)


def ready(client: TestClient) -> TestClient:
    """Wait until the model is there."""
    while client.get("/v1/health").json()["status"] == "loading":
        time.sleep(0.01)
    return client


def ask(client: TestClient, content: object, **more: object) -> dict:
    """Ask one question and return the body."""
    messages = [{"role": "user", "content": content}]
    answer = client.post("/v1/chat/completions", json={"model": "nano", "messages": messages, "max_tokens": 8} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(file: dict, text: str) -> list[dict]:
    """The content of a message that shows a file and says something."""
    return [{"type": "volume", "volume": {"file_id": file["id"]}}, {"type": "text", "text": text}]


def upload(client: TestClient, data: bytes, name: str = "patient-name.bin"):
    """Send a file."""
    return client.post("/v1/files", files={"file": (name, data)}, data={"purpose": "vision"})


def nifti_bytes(array: np.ndarray, affine: np.ndarray) -> bytes:
    """A NIfTI file, array `[x, y, z]`, affine RAS."""
    return nib.Nifti1Image(array, affine).to_bytes()


def png_bytes(shape: tuple[int, int] = (40, 30)) -> bytes:
    """A picture."""
    out = io.BytesIO()
    Image.fromarray(np.arange(shape[0] * shape[1]).astype(np.uint8).reshape(shape)).save(out, "PNG")
    return out.getvalue()


def data_url(png: bytes) -> str:
    """A picture as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
