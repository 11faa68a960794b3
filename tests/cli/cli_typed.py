"""The command line as a person types it, in this process."""

from __future__ import annotations

import sys

import pytest

from radfoundry import cli


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["radfoundry", *map(str, words)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
