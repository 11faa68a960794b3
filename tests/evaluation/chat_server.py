"""A chat endpoint of its own process that behaves as it is told: `python chat_server.py BEHAVIOUR LOG`; prints its port.

Every request is a line of LOG: the text that was asked. Behaviours: well, garbage, not-json, no-choices, slow, drip, never, hang-up, 500,
429-once, 401, giant, number, redirect, flaky (every third request is a 503), block-at-N (never answers from the N-th request on).
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BEHAVIOUR, LOG = sys.argv[1], Path(sys.argv[2])
LOCK = threading.Lock()
SEEN: dict[str, int] = {}


def completion(text: object) -> bytes:
    return json.dumps(
        {
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 2},
        }
    ).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = body["messages"][-1]["content"]
        asked = content if isinstance(content, str) else " ".join(part.get("text", "<picture>") for part in content)
        with LOCK:
            SEEN[asked] = SEEN.get(asked, 0) + 1
            number = sum(SEEN.values())
            with LOG.open("a") as log:
                log.write(json.dumps({"asked": asked, "key": self.headers.get("Authorization")}) + "\n")
        self.behave(asked, number)

    def behave(self, asked: str, number: int) -> None:
        match BEHAVIOUR:
            case "garbage":
                self.send(completion("%&§ \ud800 ``` <|im_end|>"))
            case "not-json":
                self.send(b"<html>busy</html>")
            case "no-choices":
                self.send(b'{"choices": []}')
            case "number":
                self.send(completion(17))
            case "slow":
                time.sleep(0.3)
                self.send(completion("yes"))
            case "never":
                time.sleep(60)
            case "drip":
                self.drip()
            case "hang-up":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case "500" | "401":
                self.send(b"out of order", int(BEHAVIOUR))
            case "429-once":
                again = SEEN[asked] == 1
                self.send(b"slow down" if again else completion("yes"), 429 if again else 200, {"Retry-After": "0"})
            case "flaky":
                self.send(*((b"busy", 503) if number % 3 == 0 else (completion("yes"), 200)))
            case "giant":
                self.send(completion("x" * 5_000_000))
            case "redirect":
                self.send(b"", 302, {"Location": "http://127.0.0.1:9/elsewhere"})
            case blocked if blocked.startswith("block-at-") and number >= int(blocked.rpartition("-")[2]):
                time.sleep(600)
            case _:
                self.send(completion("yes"))

    def drip(self) -> None:
        """Headers at once, then a byte every 50 ms for a minute."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for _ in range(1200):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.05)

    def send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
