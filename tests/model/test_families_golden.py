"""Every golden case of the published models, as `benchmarks/golden.py` runs it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("RADFOUNDRY_DATA", ROOT.parent / "shared" / "data"))
sys.path.insert(0, str(ROOT / "benchmarks"))

import golden  # noqa: E402

SLOW = ("seg_module_full_width", "vision_tower_full_width", "embedding_mixed", "lr_schedule")
FILES = sorted((DATA.parent / "golden").rglob("case.json"))
CASES = [
    pytest.param(
        file, id=f"{file.parts[-3]}-{file.parts[-2]}", marks=pytest.mark.slow if file.parts[-2] in SLOW else ()
    )
    for file in FILES
]


@pytest.mark.skipif(not FILES, reason="no golden cases beside the data folder")
@pytest.mark.parametrize("file", CASES)
def test_a_published_model_computes_the_same_numbers_here(file: Path) -> None:
    about = json.loads(file.read_text(encoding="utf-8"))
    verdict = golden.judge(golden.Case(file.parent, about, about["salt"]), golden.runners()[about["family"]])
    assert verdict["ok"] in (True, None), verdict
    assert verdict["ok"] or verdict["reason"]


def test_a_tensor_follows_from_its_name_shape_and_salt() -> None:
    first = golden.keyed("a.weight", (3, 4), "")
    assert (first == golden.keyed("a.weight", (3, 4), "")).all()
    assert not (first == golden.keyed("a.weight", (3, 4), "x")).any()
    assert golden.keyed("norm.weight", (1000,)).mean() == pytest.approx(1, abs=0.02)
    assert golden.keyed("logit_scale", (), "").shape == ()


def test_a_wrong_output_fails_a_case(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "arrays.npz", y=np.ones(3, dtype=np.float32))
    about = {"name": "x", "outputs": ["y"], "tolerance": {"y": 1e-3}}
    case = golden.Case(tmp_path, about, "")
    assert golden.compare(case, {"y": np.ones(3) + 5e-4})["ok"]
    assert not golden.compare(case, {"y": np.ones(3) + 2e-3})["ok"]
    assert not golden.compare(case, {"y": np.full(3, np.nan)})["ok"]
    assert not golden.compare(case, {"y": np.ones(4)})["ok"]
    assert not golden.compare(case, {})["ok"]
