"""A real endpoint in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class ChatServer:
    """A running `chat_server.py`."""

    def __init__(self, behaviour: str, log: Path) -> None:
        self.log = log
        script = Path(__file__).with_name("chat_server.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), behaviour, str(log)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/v1"

    @property
    def requests(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def chat_server(tmp_path: Path) -> Iterator[Callable[[str], ChatServer]]:
    """A function that starts a server which behaves as it is told."""
    running: list[ChatServer] = []

    def start(behaviour: str) -> ChatServer:
        running.append(ChatServer(behaviour, tmp_path / f"requests-{len(running)}.jsonl"))
        return running[-1]

    yield start
    for server in running:
        server.stop()
