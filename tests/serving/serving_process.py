"""A server as a user starts it: another process, on a port that was free."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Server:
    """`radfoundry serve` in a process of its own."""

    model: Path
    data: Path | None = None
    port: int = 0

    def start(self) -> Server:
        """Start, and wait until it answers questions."""
        self.port = self.port or free_port()
        words = [sys.executable, "-m", "radfoundry", "serve", "--model", self.model, "--port", self.port]
        words += ["--data", self.data] if self.data else []
        # where tests run with libraries of their own, the server needs those of the project alone
        self.process = subprocess.Popen(list(map(str, words)), env=dict(os.environ))
        for _ in range(600):
            assert self.process.poll() is None, "the server ended; what it said is in the captured output"
            try:
                if httpx.get(f"{self.url}/v1/health", timeout=5).json()["status"] == "ok":
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError("the server did not come up")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(120)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()
