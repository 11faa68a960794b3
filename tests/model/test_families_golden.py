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


# traps of the specifications that a golden case holds: the published arrays differ as soon as one is missed
TRAPS = {
    "M3D-T12 no bias in qkv, keys in the order q, k, v": "m3d/vit_encoder",
    "M3D-T17 spatial and sequence pooling differ": "m3d/projector_spp_mlp2_sequence",
    "M3D-T29 the first two-way block replaces the tokens": "m3d/seg_module",
    "M3D-T30 ReLU in the two-way block, exact GELU in the upscaling": "m3d/seg_module",
    "M3D-T32 the text's similarity is added to every mask": "m3d/seg_module",
    "RFM-T9 no label for id 0, tags and the question's ids": "radfm/token_ids",
    "RFM-T24 other position rows at 512 than at 256": "radfm/vit3d",
    "RFM-T32 inner width, no final norm, no biases": "radfm/perceiver",
    "RFM-T42 sides that are not square or do not divide the table": "radfm/vit3d",
    "XRG-T6 transparency dropped, grey copied": "xraygpt/image_processor",
    "XRG-T7 resized in 8 bit without regard to the aspect": "xraygpt/image_processor",
    "XRG-T12 the demo's template is not the training's": "xraygpt/chat_context",
    "XRG-T15 stage 1 has a bare image": "xraygpt/forward_stage1",
    "XRG-T17 positions ignore padding": "xraygpt/forward_stage2",
    "XRG-T21 the class token goes to the Q-Former, without a final norm": "xraygpt/eva_vit",
    "XRG-T22 cross-attention in every other layer, feed-forward of the queries alone": "xraygpt/qformer",
    "XRG-T26 the saved file keeps buffers beside two parameters": "xraygpt/saved_keys",
    "XRG-T27 text after an end token in the history starts a word anew": "xraygpt/chat_context",
    "XRG-T28 decoding keeps the end token": "xraygpt/answer_rules",
    "XRG-T31 the answer follows the last role word": "xraygpt/answer_rules",
    "XRG-T32 names are replaced in what is shown alone": "xraygpt/answer_rules",
    "XRG-T36 an empty answer is an open turn": "xraygpt/chat_context",
    "XRG-T37 temperature, then 50 tokens, then nine tenths": "xraygpt/sampling_filter",
    "XRG-T43 MedCLIP's processor, rewritten": "xraygpt/medclip_processor",
    "XRG-T45 pooled features are not unit vectors": "xraygpt/medclip_linear_pooled",
    "XRG-T46 pooled after the final norm": "xraygpt/medclip_swin",
    "XRG-T47 the position table is resized": "xraygpt/eva_vit",
    "MT-T32 new tokens follow a begin token that is dropped": "llava/greedy",
}


@pytest.mark.skipif(not FILES, reason="no golden cases beside the data folder")
@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_held_by_a_golden_case(trap: str) -> None:
    assert [file for file in FILES if "/".join(file.parts[-3:-1]) == TRAPS[trap]], "the case runs below"


@pytest.mark.skipif(not FILES, reason="no golden cases beside the data folder")
@pytest.mark.parametrize("file", CASES)
def test_a_published_model_computes_the_same_numbers_here(file: Path) -> None:
    about = json.loads(file.read_text(encoding="utf-8"))
    verdict = golden.judge(golden.Case(file.parent, about, about["salt"]), golden.runners()[about["family"]])
    assert verdict["ok"] in (True, None), verdict
    assert verdict["ok"] or verdict["reason"]


@pytest.mark.skipif(not FILES, reason="no golden cases beside the data folder")
@pytest.mark.parametrize("name", ["m3d/vit_encoder", "radfm/perceiver", "xraygpt/qformer", "llava/projector"])
def test_another_salt_makes_other_weights_and_so_other_numbers(name: str) -> None:
    (file,) = [file for file in FILES if "/".join(file.parts[-3:-1]) == name]
    about = json.loads(file.read_text(encoding="utf-8"))
    verdict = golden.judge(golden.Case(file.parent, about, "another"), golden.runners()[about["family"]])
    assert verdict["ok"] is False
    assert verdict["max_abs_error"] > 0.01
    assert "reason" not in verdict


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
