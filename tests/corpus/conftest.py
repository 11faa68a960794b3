"""Corpora of tests live in memory where the system offers it: syncing to a real disk is most of what a small build costs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A fresh folder, in memory if there is a place for it."""
    with tempfile.TemporaryDirectory(prefix="corpus-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)
