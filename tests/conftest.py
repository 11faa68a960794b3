"""Where tests find real files; absent files skip a test with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["phantom_corpus"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of small real scans, reports and labels."""
    root = Path(os.environ.get("RADFOUNDRY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set RADFOUNDRY_DATA")
    return root
