"""Converted folders at the door that commands use: looked at as published, asked, and boxes and masks back on the scan."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from test_families_conversations import build
from tiny_families import TINY

from radfoundry.cli.ask import ask
from radfoundry.evaluation.predictors.local import LocalModel
from radfoundry.geometry import Box, Grid
from radfoundry.model import save
from radfoundry.model.families.registry import FAMILIES
from radfoundry.model.looking import look_at
from radfoundry.protocols import Picture, Question
from radfoundry.records import Part, Turn

PICTURES = ("xraygpt", "llava-tri")


def image_of(family: str) -> tuple[np.ndarray, Grid, str]:
    if family in PICTURES:
        film = np.random.default_rng(0).integers(0, 4000, (30, 44)).astype(np.uint16)
        return film, Grid.picture((30, 44)), "DX"
    body = np.full((12, 40, 36), -1024, dtype=np.int16)
    body[1:11, 4:36, 3:33] = np.random.default_rng(0).integers(-900, 900, (10, 32, 30))
    return body, Grid.axial((12, 40, 36), (3.0, 1.0, 1.0)), "CT"


@pytest.fixture(params=sorted(TINY))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_box_goes_to_the_view_and_back(family: str) -> None:
    pixels, grid, modality = image_of(family)
    look = look_at(pixels, grid, modality, build(family)[0].config)
    assert look.shape == tuple(FAMILIES[family].look(pixels, modality, build(family)[0].config).shape[1:])
    box = Box((10, 12), (20, 30)) if grid.ndim == 2 else Box((3, 10, 8), (8, 30, 28))
    seen = look.box(box)
    assert seen is not None
    back = look.box_back(np.array(seen, dtype=np.float32))
    assert back is not None
    size = np.maximum(1, np.ceil(look.view.scale))
    assert (np.abs(np.array(back.start) - box.start) <= size).all()
    assert (np.abs(np.array(back.stop) - box.stop) <= size).all()


@pytest.mark.parametrize("name", ["m3d-lamed", "xraygpt", "llava-tri", "radgenome"])
def test_a_view_lies_where_the_published_preparation_put_it(name: str) -> None:
    config = build(name)[0].config
    pixels, grid, modality = image_of(name)
    bright = np.full(grid.shape, 100 if grid.ndim == 2 else -900, dtype=pixels.dtype)
    if grid.ndim == 2:
        bright[15:, 22:] = pixels.max()
    else:
        bright[0], bright[:, 0], bright[:, :, 0] = pixels.min(), pixels.min(), pixels.min()
        bright[6:, 20:, 18:] = 900
    look = look_at(bright, grid, modality, config)
    values = look.pixels[0].numpy().ravel()
    expected = look.view.pixels(bright.astype(np.float32)).ravel()
    inside = look.view.pixels(np.ones(grid.shape, dtype=np.float32)).ravel() > 0.5  # not the padding
    assert np.corrcoef(values[inside], expected[inside])[0, 1] > 0.9


def test_what_m3d_cuts_away_is_not_in_view() -> None:
    config = build("m3d-lamed")[0].config
    pixels, grid, modality = image_of("m3d-lamed")
    look = look_at(pixels, grid, modality, config)
    assert look.box(Box((0, 0, 0), (1, 3, 3))) is None
    whole = look.box_back(np.array([0, 0, 0, *look.shape], dtype=np.float32))
    assert whole == Box((1, 4, 3), (11, 36, 33))


def test_every_kind_of_question_is_answered_on_the_scan(family: str, tmp_path: Path) -> None:
    model, processor = build(family)
    local = LocalModel(save(model, processor, tmp_path / "model"))
    pixels, grid, modality = image_of(family)
    picture = Picture("img_1", modality, grid, lambda: pixels)

    def question(kind: str, text: str, choices: tuple[str, ...] = ()) -> Question:
        turn = Turn("user", (Part("image", ref="img_1"), Part("text", text)))
        return Question(kind, "presence", (turn,), (picture,), kind, choices)

    asked = [
        question("closed", "Is there a nodule?", ("yes", "no")),
        question("open", "What is seen?"),
        question("mask", "Segment the liver."),
        question("box", "Where is the liver?"),
        question("choice", "Which?", ("left", "right")),
    ]
    closed, free, mask, _, choice = local.answer(asked)
    assert not any(answer.error for answer in (closed, free, mask, choice)), (closed, free, mask, choice)
    assert closed.text.lower() in ("yes", "no")
    assert choice.text in ("left", "right")
    if family == "m3d-lamed":
        assert mask.mask is not None
        assert mask.mask.shape == grid.shape


def test_a_converted_folder_is_asked_by_the_command(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, processor = build(family)
    folder = save(model, processor, tmp_path / "model")
    pixels, grid, _ = image_of(family)
    study = tmp_path / "study"
    study.mkdir()
    if grid.ndim == 2:
        Image.fromarray((pixels // 16).astype(np.uint8)).save(study / "film.png")
    else:
        nibabel.save(
            nibabel.Nifti1Image(pixels.transpose(2, 1, 0)[::-1, ::-1].copy(), np.diag([1.0, 1.0, 3.0, 1.0])),
            study / "scan.nii.gz",
        )
    ask(study, "Is there a nodule?", model=str(folder), out=tmp_path / "answer", json=True)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert json.loads(line)["answer"].lower() in ("yes", "no")
