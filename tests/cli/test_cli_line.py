"""The commands as a person types them: build, show, train, bench, rescore, compare, ask, info, doctor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_typed import run
from PIL import Image

from radfoundry.corpus import Corpus


@pytest.fixture(scope="module")
def line(phantom_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and a model that has seen two steps."""
    out = tmp_path_factory.mktemp("line")
    with pytest.MonkeyPatch.context() as patch:
        built = ("build", "m3d", phantom_table.parent, out / "m3d", "--table", phantom_table, "--workers", "0")
        assert run(patch, *built) == 0
        assert (
            run(patch, "train", out / "m3d", "--run", out / "run", "--steps", "2", "--studies", "2", "--questions", "3")
            == 0
        )
    return out


def test_build_says_what_it_wrote_and_does_nothing_twice(line, phantom_table, monkeypatch, capsys) -> None:
    words = ("build", "m3d", phantom_table.parent, line / "m3d", "--table", phantom_table, "--workers", "0", "--json")
    assert run(monkeypatch, *words) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["rows"]["samples"] == len(Corpus(line / "m3d").samples())


def test_bench_scores_beside_controls_and_rescore_needs_no_model(line, monkeypatch, capsys) -> None:
    words = ("bench", line / "m3d", "--model", line / "run" / "last", "--limit", "12", "--out", line / "b1", "--json")
    assert run(monkeypatch, *words) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(first) == {"suite", "model", "n", "scores"}
    assert all(set(s) == {"value", "low", "high", "n", "blind"} for s in first["scores"].values())
    assert run(monkeypatch, "rescore", line / "b1", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["scores"] == first["scores"]
    assert run(monkeypatch, "bench", line / "m3d", "--model", "majority", "--limit", "12", "--out", line / "b2") == 0
    assert run(monkeypatch, "compare", line / "b1", line / "b2", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])


def test_training_goes_on_where_it_stopped(line, monkeypatch) -> None:
    before = [json.loads(text)["step"] for text in (line / "run" / "log.jsonl").read_text().splitlines()]
    assert before == [1, 2]
    words = ("train", line / "m3d", "--run", line / "run", "--steps", "3", "--studies", "2", "--questions", "3")
    assert run(monkeypatch, *words) == 0
    steps = [json.loads(text)["step"] for text in (line / "run" / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]


def test_show_draws_pictures_and_pages(line, monkeypatch) -> None:
    assert run(monkeypatch, "show", line / "m3d", "--limit", "2") == 0
    pages = list((line / "m3d" / "show").glob("*.html"))
    assert (line / "m3d" / "show" / "index.html") in pages
    with Image.open(next((line / "m3d" / "show").glob("*.png"))) as picture:
        assert np.asarray(picture.convert("L")).std() > 5


def test_ask_answers_with_a_picture(line, phantom_table, monkeypatch, capsys) -> None:
    study = next((phantom_table.parent / "images").glob("*test*.nii.gz"))
    words = ("ask", study, "Is there a nodule?", "--model", line / "run" / "last", "--out", line / "answer", "--json")
    assert run(monkeypatch, *words) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["answer"] in ("Yes", "No")
    assert answer["note"] == "Research use only."
    with Image.open(answer["files"][0]) as picture:
        assert picture.size[0] > 100


@pytest.mark.parametrize("what", ["anatomy", "liver", "nano"])
def test_info_knows_anatomy_regions_and_models(what, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "info", what, "--json") == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("build", "m3d", "/nowhere", "/tmp/out"), 2, "there is no /nowhere"),
        (("build", "m4d", "/nowhere", "/tmp/out"), 2, "m4d"),
        (("buidl",), 2, "buidl"),
        (("bench", "/nowhere", "--model", "majority"), 2, "/nowhere"),
        (("info", "nothing like it"), 2, "nothing known about"),
        (("ask", "/nowhere", "Why?"), 2, "there is no /nowhere"),
    ],
)
def test_wrong_use_is_told_on_standard_error(words, status, said, monkeypatch, capsys) -> None:
    assert run(monkeypatch, *words) == status
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.strip().splitlines()) <= 3


def test_a_build_that_is_killed_and_run_again_gives_the_same_bytes(line, phantom_table, tmp_path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "radfoundry", "build", "m3d", phantom_table.parent, out, "--table", phantom_table]

    def start(workers: int) -> subprocess.Popen:
        return subprocess.Popen(
            [*map(str, command), "--workers", str(workers)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    process = start(1)
    while process.poll() is None and not list(out.glob("waves/*.json")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert start(2).wait() == 0

    def tree(root: Path) -> dict[str, bytes]:
        files = [p for sub in ("tables", "labelmaps") for p in (root / sub).rglob("*") if p.is_file()]
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}

    assert tree(out) == tree(line / "m3d")
