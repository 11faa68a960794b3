"""Examples run as they are, and the page of commands says what the commands take."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from docstring_parser import parse

import radfoundry
from radfoundry.cli import COMMANDS
from radfoundry.cli.reference import reference

# pneumoniamnist needs its dataset: tests/training/test_training_pneumonia.py runs it
EXAMPLES = sorted(
    path for path in (Path(__file__).resolve().parents[2] / "examples").glob("*.py") if path.stem != "pneumoniamnist"
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, str(example), str(tmp_path / "out")], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "->" in done.stdout


def test_the_page_of_commands_is_up_to_date() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == reference() + "\n", "python -m radfoundry.cli.reference > docs/commands.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_setting_of_a_command_is_explained(name) -> None:
    function = getattr(radfoundry, name)
    told = {p.arg_name for p in parse(inspect.getdoc(function) or "").params}
    assert told == set(inspect.signature(function).parameters)
