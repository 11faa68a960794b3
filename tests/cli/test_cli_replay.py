"""`radfoundry replay`: one study again, from nothing but the corpus and a row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_typed import run
from PIL import Image

from radfoundry.corpus import Corpus


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two arrays and a broken one, typed with relative paths."""
    folder = tmp_path_factory.mktemp("replay")
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", np.full((4, 6, 8), ord(name), np.int16))
    (folder / "c.npy").write_bytes(b"no array")
    (folder / "table.csv").write_text("image,patient,modality\na.npy,p1,CT\nb.npy,p2,CT\nc.npy,p3,CT\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(patch, "build", "description", ".", "out", "--table", "table.csv", "--workers", "0") == 0
    return folder / "out"


def steps(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_any_row_of_a_study_finds_its_source_again(built: Path, monkeypatch, capsys) -> None:
    image = Corpus(built).rows("images")[0]
    assert run(monkeypatch, "replay", built, image.study_id, "--json") == 0
    by_study = steps(capsys.readouterr().out)
    assert by_study[0]["rows"]["images"] == 1
    assert run(monkeypatch, "replay", built, image.image_id, "--json") == 0
    assert [s["rows"] for s in steps(capsys.readouterr().out)] == [s["rows"] for s in by_study]


def test_a_rejected_source_shows_what_refuses_it(built: Path, monkeypatch, capsys) -> None:
    (bad,) = Corpus(built).rows("rejected")
    assert run(monkeypatch, "replay", built, bad.key) == 0
    assert "read-studies" in capsys.readouterr().out


def test_an_unknown_row_is_wrong_use(built: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "replay", built, "smp_nothing") == 2
    assert "there is no source" in capsys.readouterr().err


def test_sources_can_be_named_where_the_corpus_does_not_say(built: Path, tmp_path, monkeypatch, capsys) -> None:
    (built / "built_by.txt").rename(tmp_path / "kept")
    study = Corpus(built).rows("studies")[0].study_id
    try:
        assert run(monkeypatch, "replay", built, study) == 2
        assert "does not say how it was built" in capsys.readouterr().err
        src = ("--src", built.parent, "--table", built.parent / "table.csv")
        assert run(monkeypatch, "replay", built, study, *src) == 0
    finally:
        (tmp_path / "kept").rename(built / "built_by.txt")


def test_a_build_shows_its_studies_on_the_card(built: Path) -> None:
    with Image.open(built / "card" / "studies.png") as sheet:
        assert sheet.size[0] > 300
    assert "![](card/studies.png)" in (built / "README.md").read_text()
