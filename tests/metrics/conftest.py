"""The published scorers' own numbers, where they are at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# wall-clock deadlines fail on a machine that others use too; time limits here are in processor seconds
settings.register_profile("metrics", deadline=None)
settings.load_profile("metrics")

GoldenCase = tuple[dict[str, Any], dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def golden_case() -> Callable[[str], GoldenCase]:
    """A function from "family/case" to its description and arrays."""
    default = Path(__file__).resolve().parents[3] / "shared" / "golden"
    root = Path(os.environ.get("RADFOUNDRY_GOLDEN", default))

    def load(name: str) -> GoldenCase:
        if not (root / name).is_dir():
            pytest.skip(f"no golden case {name} at {root}; set RADFOUNDRY_GOLDEN")
        case = json.loads((root / name / "case.json").read_text("utf-8"))
        return case, dict(np.load(root / name / "arrays.npz"))

    return load
