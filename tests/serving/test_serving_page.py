"""The page in a browser against the real process: what a person does in each room, and each state that must exist.

Pictures of the states are written to the folder that SCREENSHOTS names, if it is set.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving_helpers import nifti_bytes
from serving_process import Server

from radfoundry.corpus import Corpus
from radfoundry.phantom import make_phantom
from radfoundry.serving.app import PAGE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is in the extra dev")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars"]
PATIENCE_MS = int(os.environ.get("PATIENCE_S", "120")) * 1000  # shared cores

if CHROMIUM is None:
    pytest.skip("there is no Chromium here: apt-get install chromium", allow_module_level=True)
if not (PAGE / "index.html").is_file():
    pytest.skip("the page was not built: make page", allow_module_level=True)


def browser_page(flags: list[str] | None = None) -> Iterator:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *(flags or [])])
        # the page forbids eval, by which Playwright waits for conditions
        page = browser.new_page(viewport={"width": 1366, "height": 768}, bypass_csp=True)
        page.set_default_timeout(PATIENCE_MS)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page
        browser.close()


@pytest.fixture
def page() -> Iterator:
    yield from browser_page()


@pytest.fixture(scope="module")
def server(checkpoint: Path) -> Iterator[Server]:
    with Server(checkpoint) as running:
        yield running


@pytest.fixture(scope="module")
def out(phantom_corpora, tmp_path_factory) -> Path:
    return shutil.copytree(phantom_corpora["grounded-report"].path, tmp_path_factory.mktemp("page") / "corpus")


def picture(page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def phantom_nifti() -> bytes:
    phantom = make_phantom(1, size="standard")
    return nifti_bytes(phantom.volume.T, np.diag([-1, -1, 1, 1]) @ phantom.grid.affine)


def drop(page, data: bytes) -> None:
    """Let a file fall onto the page, as a hand does."""
    page.evaluate(
        """([content, target]) => {
            const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
            const moved = new DataTransfer();
            moved.items.add(new File([bytes], "Doe-Jane.nii"));
            document.querySelector(target).dispatchEvent(new DragEvent("drop", { dataTransfer: moved, bubbles: true, cancelable: true }));
        }""",
        [base64.b64encode(data).decode(), ".room"],
    )


def drawn(page, plane: str = "axial") -> None:
    page.wait_for_selector(f".tile.{plane} canvas[data-drawn]")


def pixels(page, plane: str) -> np.ndarray:
    """The canvas of a plane, `[y, x, rgb]`."""
    url = page.evaluate(f"document.querySelector('.tile.{plane} canvas').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def coloured(array: np.ndarray) -> np.ndarray:
    """Where a picture is not grey."""
    return np.ptp(array.astype(int), axis=-1) > 40


def ask(page, question: str) -> None:
    page.fill("#question", question)
    page.click("button:text-is('Ask')")


def answered(page, count: int = 1) -> None:
    page.wait_for_function(f"document.querySelectorAll('.talked .provenance').length >= {count}")


def test_a_dropped_scan_is_shown_asked_about_and_answered(page, server) -> None:
    page.goto(server.url)
    page.wait_for_selector("text=Drop a scan here")
    picture(page, "ask-empty")
    drop(page, phantom_nifti())
    drawn(page)
    assert page.get_attribute(".tile.axial", "aria-label").endswith("left edge R, right edge L, top A")
    question = "<img src=x onerror='window.broken = 1'> What is abnormal in the left lung?"
    ask(page, question)
    page.wait_for_function("document.querySelector('.talked .marked')?.textContent.length > 0")
    answered(page)
    assert question in page.inner_text(".talked .question")
    assert "Research use only" in page.inner_text(".talked .provenance")
    assert page.evaluate("window.broken") is None
    ask(page, "Is there a nodule?")
    answered(page, 2)
    picture(page, "ask-answered")
    assert "Doe" not in page.content()
    assert "Doe" not in page.url
    assert not page.errors


def test_the_left_lung_is_drawn_on_the_right_of_the_screen(page, server) -> None:
    page.goto(server.url)
    page.wait_for_selector("text=Drop a scan here")
    drop(page, phantom_nifti())
    drawn(page)
    page.wait_for_selector("button:has-text('Regions'):not([disabled])")
    page.click("button:has-text('Regions')")
    for side, on_right in (("left", True), ("right", False)):
        page.fill("input[type=search]", "")
        page.click("button:text-is('hide all')")
        page.fill("input[type=search]", f"{side} lung")
        page.click(".regions button:text-is('show all')")
        page.click(".regions .name >> nth=0")
        page.fill(f"input[aria-label^='fill of {side} lung'] >> nth=0", "1")
        page.mouse.move(5, 5)
        page.wait_for_timeout(500)
        for plane in ("axial", "coronal"):
            found = coloured(pixels(page, plane))
            places = np.argwhere(found)[:, 1]
            assert len(places) > 200
            assert (np.median(places) > found.shape[1] / 2) is np.bool_(on_right), (side, plane)
        picture(page, f"ask-{side}-lung")
        page.fill("input[type=search]", "")
        page.click("button:text-is('show all'), button:text-is('hide all')")
        if page.locator("button:text-is('show all')").count():
            page.click("button:text-is('show all')")


def test_a_real_scan_and_an_x_ray_are_shown_with_their_sides(page, server, shared_data) -> None:
    page.goto(server.url)
    page.wait_for_selector("text=Drop a scan here")
    drop(page, (shared_data / "ct_totalseg" / "example_ct_sm.nii.gz").read_bytes())
    drawn(page)
    picture(page, "ask-ct")
    drop(page, (shared_data / "openi_images" / "CXR25_IM-1024-2001.png").read_bytes())
    drawn(page, "picture")
    ask(page, "What do you see?")
    answered(page)
    picture(page, "ask-xray")
    assert not page.errors


def test_what_cannot_be_read_is_refused_in_three_lines(page, server) -> None:
    page.goto(server.url)
    page.wait_for_selector("text=Drop a scan here")
    drop(page, b"this is no scan" * 50)
    page.wait_for_selector(".refusal .what")
    assert page.locator(".refusal p").count() == 3
    picture(page, "ask-refused")


def test_loading_says_what_and_how_far(page, server) -> None:
    page.goto(server.url)
    page.wait_for_selector("text=Drop a scan here")
    held = []
    page.route("**/volume", lambda route: held.append(route))
    page.click("text=Load an example")
    page.wait_for_selector(".loading:has-text('phantom CT')")
    picture(page, "ask-loading")
    page.wait_for_function("document.querySelector('.loading progress') !== null")
    held[0].continue_()
    drawn(page)


def test_a_full_queue_says_when_to_try_again(page, server) -> None:
    page.goto(server.url)
    page.click("text=Load an example")
    drawn(page)
    error = {
        "message": "",
        "type": "queue_full",
        "code": "queue_full",
        "what": "The queue is full.",
        "why": "32 wait.",
        "mend": "Later.",
    }
    page.route(
        "**/chat/completions",
        lambda route: route.fulfill(status=429, headers={"Retry-After": "8"}, body=json.dumps({"error": error})),
        times=1,
    )
    ask(page, "Describe.")
    page.wait_for_selector("text=the queue asks for 8 s")
    picture(page, "ask-queue-full")
    page.click("button:has-text('Try again')")
    answered(page)


def test_a_stopped_answer_stays_stopped_and_the_next_is_answered(page, server) -> None:
    page.goto(server.url)
    page.click("text=Load an example")
    drawn(page)
    ask(page, "Describe everything that you see.")
    page.click("button:text-is('Stop')")
    page.wait_for_selector("text=Stopped.")
    ask(page, "Describe.")
    answered(page)


def test_without_webgl2_the_slices_are_there_all_the_same(server) -> None:
    for page in browser_page(["--disable-3d-apis"]):
        page.goto(server.url)
        page.click("text=Load an example")
        drawn(page)
        page.click("button:text-is('3D')")
        page.wait_for_selector("text=This browser has no WebGL2")
        picture(page, "ask-no-webgl2")
        assert coloured(pixels(page, "axial")).any()


def test_the_scan_in_three_dimensions(page, server) -> None:
    page.goto(server.url)
    page.click("text=Load an example")
    drawn(page)
    page.click("button:text-is('3D')")
    page.wait_for_selector(".scene[data-state=ready]")
    picture(page, "ask-3d")


def test_a_study_of_the_corpus_is_shown_with_its_report(page, checkpoint, out) -> None:
    with Server(checkpoint, out) as server:
        page.goto(f"{server.url}/#/corpus")
        page.wait_for_selector(".list .card")
        picture(page, "corpus-list")
        page.click(".list .card >> nth=0")
        page.wait_for_selector("aside .marked")
        page.wait_for_selector(".tile canvas[data-drawn]")
        if page.locator(".mark").count():
            page.click(".mark >> nth=0")
        picture(page, "corpus-study")
        page.click("text=← Studies")
        page.click("button:has-text('rejected')")
        page.wait_for_selector("p:text-is('Nothing was rejected.'), .refusal")
        picture(page, "corpus-rejected")
        assert not page.errors


def test_a_verdict_given_in_the_page_outlives_the_server(page, checkpoint, out) -> None:
    server = Server(checkpoint, out).start()
    page.goto(f"{server.url}/#/review")
    page.fill("#reader", "r1")
    page.click("text=Begin")
    page.wait_for_selector(".case .claim")
    page.wait_for_selector(".tile canvas[data-drawn]")
    picture(page, "review-case")
    claim = page.inner_text(".case .claim")
    page.mouse.move(5, 5)
    page.keyboard.press("n")
    page.wait_for_selector("text=1 of")
    server.kill()
    page.keyboard.press("y")
    page.wait_for_selector("text=The server does not answer")
    picture(page, "review-server-gone")
    with server:
        page.wait_for_function("!document.body.textContent.includes('The server does not answer. Trying')")
        (row,) = Corpus(out).table("reviews").to_pylist()
        assert (row["verdict"], row["reader"]) == ("wrong", "r1")
        page.keyboard.press("y")
        page.wait_for_selector("text=2 of")
        page.click("button:text-is('Agreement')")
        page.wait_for_selector("text=Agreement needs two readers")
        picture(page, "review-agreement")
    assert claim
