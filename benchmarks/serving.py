"""How a server holds up, and how fast a scan is on the screen: JSON lines to standard output.

python benchmarks/serving.py [--model FOLDER] [--clients 16] [--questions 50] [--only load second page]
Bars: no error; memory afterwards within 10 % of that after the first round; a second question about a study at least 3x as fast as the
first; a 512x512x275 CT on the screen in 5 s. Without --model an untrained nano is made: times do not depend on what it has learned.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import psutil

QUESTIONS = (
    "Is there a nodule?",
    "What is abnormal in the left lung?",
    "Write the findings of this study.",
    "Where is the heart?",
)
SECOND_BAR, PAGE_BAR_S, MEMORY_BAR = 3.0, 5.0, 0.10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--studies", type=int, default=4, help="phantoms that the clients share")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--shape", type=int, nargs=3, default=(275, 512, 512), metavar=("Z", "Y", "X"))
    parser.add_argument("--only", nargs="*", choices=("load", "second", "page"), default=("load", "second", "page"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside, running(args.model or untrained(Path(aside))) as (url, process):
        if "second" in args.only:
            say("second question", **second_question(url, args.shape, args.tokens))
        if "load" in args.only:
            say("load", **load(url, process, args))
        if "page" in args.only:
            say("page", **on_the_screen(url, args.shape, Path(aside)))


def say(what: str, **figures: object) -> None:
    print(json.dumps({"benchmark": "serving", "what": what, **figures}), flush=True)


def untrained(folder: Path) -> Path:
    from radfoundry.model import create, nano, save
    from radfoundry.phantom import make_phantom

    return save(*create(nano, [make_phantom(i).report for i in range(3)], 512), folder / "nano")


@contextmanager
def running(model: Path) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = [sys.executable, "-m", "radfoundry", "serve", "--model", str(model), "--port", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                if httpx.get(f"{url}/v1/health", timeout=5).json()["status"] == "ok":
                    break
            except httpx.TransportError:
                assert process.poll() is None, "the server ended"
            time.sleep(0.2)
        yield url, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def scan(shape: tuple[int, int, int], seed: int) -> bytes:
    """A CT-like volume of its own as NIfTI."""
    rng = np.random.default_rng(seed)
    slab = rng.integers(-1000, 1000, (8, *shape[1:]), dtype=np.int16)
    volume = np.concatenate([slab] * -(-shape[0] // 8))[: shape[0]]
    return nib.Nifti1Image(volume.T, np.diag([-0.7, -0.7, 1.25, 1.0])).to_bytes()


def send(url: str, data: bytes) -> str:
    answer = httpx.post(f"{url}/v1/files", files={"file": ("scan", data)}, timeout=300)
    answer.raise_for_status()
    return answer.json()["id"]


def ask(client: httpx.Client, url: str, file_id: str, question: str, tokens: int) -> tuple[int, float]:
    """Ask as often as a full queue wants it; return the last status and the seconds of that one request."""
    content = [{"type": "volume", "volume": {"file_id": file_id}}, {"type": "text", "text": question}]
    body = {"model": "nano", "messages": [{"role": "user", "content": content}], "max_tokens": tokens}
    while True:
        began = time.perf_counter()
        answer = client.post(f"{url}/v1/chat/completions", json=body)
        if answer.status_code != 429:
            return answer.status_code, time.perf_counter() - began
        time.sleep(float(answer.headers["Retry-After"]))


def second_question(url: str, shape: tuple[int, int, int], tokens: int) -> dict[str, object]:
    firsts, seconds = [], []
    with httpx.Client(timeout=300) as client:
        for seed in range(3):
            file_id = send(url, scan(shape, seed))
            firsts.append(ask(client, url, file_id, QUESTIONS[0], tokens)[1])
            seconds.append(ask(client, url, file_id, QUESTIONS[0], tokens)[1])
            client.delete(f"{url}/v1/files/{file_id}")
    ratio = float(np.median(firsts) / np.median(seconds))
    return {"shape": list(shape), "first_s": round(float(np.median(firsts)), 3),
            "second_s": round(float(np.median(seconds)), 4), "ratio": round(ratio, 1), "bar": SECOND_BAR,
            "ok": ratio >= SECOND_BAR}  # fmt: skip


def load(url: str, process: psutil.Process, args: argparse.Namespace) -> dict[str, object]:
    files = [httpx.post(f"{url}/v1/files/example", timeout=60).json()["id"]]
    files += [send(url, scan((64, 128, 128), seed)) for seed in range(args.studies - 1)]

    def client_of(number: int, questions: int) -> list[tuple[int, float]]:
        with httpx.Client(timeout=300) as client:
            return [
                ask(client, url, files[(number + i) % len(files)], QUESTIONS[i % len(QUESTIONS)], args.tokens)
                for i in range(questions)
            ]

    def round_of(questions: int) -> list[tuple[int, float]]:
        with ThreadPoolExecutor(args.clients) as pool:
            told = list(pool.map(lambda number: client_of(number, questions), range(args.clients)))
        return [one for many in told for one in many]

    round_of(max(2, args.questions // 10))  # what libraries take once, they keep
    before = process.memory_info().rss
    began = time.perf_counter()
    told = round_of(args.questions)
    spent, after = time.perf_counter() - began, process.memory_info().rss
    seconds = np.array([s for _, s in told])
    errors = sum(status != 200 for status, _ in told)
    grown = after / before - 1
    return {
        "clients": args.clients, "questions": args.questions, "errors": errors, "answers_per_s": round(len(told) / spent, 1),
        "p50_s": round(float(np.quantile(seconds, 0.5)), 3), "p95_s": round(float(np.quantile(seconds, 0.95)), 3),
        "memory_before_mb": before >> 20, "memory_after_mb": after >> 20, "grown": round(grown, 3),
        "ok": errors == 0 and grown <= MEMORY_BAR,
    }  # fmt: skip


def on_the_screen(url: str, shape: tuple[int, int, int], aside: Path) -> dict[str, object]:
    """From the choice of a file in the page to the first drawn slice, in a Chromium without a graphics card."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {"skipped": "playwright is not installed"}
    if chromium is None:
        return {"skipped": "there is no Chromium"}
    file = aside / "scan.nii"
    file.write_bytes(scan(tuple(shape), 0))
    flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    drawn, paint = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        for _ in range(3):
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            began = time.perf_counter()
            page.goto(url)
            page.wait_for_selector("text=Drop a scan here")
            paint.append(time.perf_counter() - began)
            began = time.perf_counter()
            page.set_input_files("input[type=file] >> nth=0", str(file))
            page.wait_for_selector(".tile.axial canvas[data-drawn]", timeout=120_000)
            drawn.append(time.perf_counter() - began)
            page.close()
        browser.close()
    best = float(np.median(drawn))
    return {"shape": list(shape), "megabytes": os.path.getsize(file) >> 20, "first_paint_s": round(float(np.median(paint)), 2),
            "on_screen_s": round(best, 2), "bar_s": PAGE_BAR_S, "ok": best <= PAGE_BAR_S}  # fmt: skip


if __name__ == "__main__":
    main()
