"""Every key and shape of published full-size checkpoints fits our models, without memory being allocated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from radfoundry.errors import UsageError
from radfoundry.model.checkpoint import expected_shapes
from radfoundry.model.clip import ContrastiveModel
from radfoundry.model.families import llava, m3d, radfm, xraygpt
from radfoundry.model.families.keys import KeyMap, check, meta_state, vit_rules
from radfoundry.model.vision import VisionTransformer
from radfoundry.model.vlm import VLM

LAMED = {"segmentation_module": "segvol", "mm_projector_type": "spp", "image_size": m3d.VOLUME}


@pytest.fixture(scope="session")
def golden(shared_data: Path) -> Path:
    folder = shared_data.parent / "golden"
    if not folder.is_dir():
        pytest.skip(f"no listings at {folder}")
    return folder


def listing(file: Path) -> dict[str, tuple[int, ...]]:
    rows = (line.split("\t") for line in file.read_text().splitlines())
    return {row[0]: tuple(int(n) for n in row[1].split(",") if n) for row in rows}


def fits(model: torch.nn.Module, keys: KeyMap, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Map a listing and compare it with a model on the meta device; return the dead keys."""
    mapped, dropped = keys.apply(meta_state(shapes))
    check(model, mapped, "the listing")
    return dropped


def on_meta(config: object) -> VLM:
    with torch.device("meta"):
        return VLM(config)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "sizes"), [("llama2", m3d.LLAMA2), ("phi3", m3d.PHI3)])
def test_m3d_lamed_fits_its_listing_with_its_dead_keys_dropped_m3d_t33(
    golden: Path, name: str, sizes: dict[str, object]
) -> None:
    config = m3d.config({**LAMED, **sizes})
    dropped = fits(on_meta(config), m3d.keys(config), listing(golden / f"m3d/lamed_{name}_state_dict.tsv"))
    assert {key.split("prompt_encoder.")[1].split(".")[0] for key in dropped} == {
        "point_embeddings",
        "not_a_point_embed",
        "mask_downscaling",
    }
    assert config.language.vocabulary == {"llama2": 32004, "phi3": 32015}[name]  # M3D-T21
    assert config.image_tokens(m3d.VOLUME) == 256  # M3D-T17


def test_m3d_clip_and_its_vision_file_fit_their_listings(golden: Path) -> None:
    config = m3d.clip_config({})
    with torch.device("meta"):
        clip, vit = ContrastiveModel(config), VisionTransformer(config.vision)
    fits(clip, m3d.clip_keys(), listing(golden / "m3d/clip_state_dict.tsv"))
    fits(vit, KeyMap(vit_rules("", "")), listing(golden / "m3d/vit_state_dict.tsv"))
    assert sum(p.numel() for p in clip.parameters()) == 198_052_609


def test_radfm_fits_its_908_keys_rfm_t37(golden: Path) -> None:
    shapes = listing(golden / "radfm/state_dict.tsv")
    assert len(shapes) == 908
    config = radfm.config({})
    model = on_meta(config)
    dropped = fits(model, radfm.keys(config), shapes)
    assert {key.split(".")[1] for key in dropped if key.startswith("embedding_layer")} == set(radfm.DEAD_GROUPS)
    assert sum(key.endswith("inv_freq") for key in dropped) == 40
    assert sum(p.numel() for p in model.parameters()) == 13_123_822_336


def test_xraygpt_fits_its_listing_and_reads_the_released_file(golden: Path) -> None:
    config = xraygpt.config({})
    model = on_meta(config)
    dropped = fits(model, xraygpt.keys(config), listing(golden / "xraygpt/eva_qformer_state_dict.tsv"))
    assert len(dropped) == 33  # XRG-T26
    mapped, _ = xraygpt.keys(config).apply(meta_state(listing(golden / "xraygpt/released_checkpoint_keys.tsv")))
    wanted = expected_shapes(model)
    assert {name: tuple(t.shape) for name, t in mapped.items()} == {
        name: wanted[name] for name in ("connector.projection.weight", "connector.projection.bias")
    }


def test_xraygpt_is_gathered_from_its_four_downloads(golden: Path) -> None:
    config = xraygpt.config({})
    shapes = listing(golden / "xraygpt/eva_qformer_state_dict.tsv")
    parts = {re.sub(r"^(visual_encoder|llama_model)\.", "", key): shape for key, shape in shapes.items()}
    parts |= {key.replace("blocks.38.", "blocks.39."): shape for key, shape in parts.items() if "blocks.38." in key}
    parts |= {"head.weight": (1000, 1408), "t5_proj.weight": (2048, 768), "Qformer.cls.predictions.bias": (30523,)}
    parts |= {"Qformer.bert.embeddings.word_embeddings.weight": (30523, 768)}
    dropped = fits(on_meta(config), xraygpt.keys(config), parts)
    assert "visual_encoder.blocks.39.attn.qkv.bias" in dropped


def test_medclip_linear_fits_its_listing_but_for_the_language_model_xrg_t42(golden: Path) -> None:
    config = xraygpt.config({"swin": xraygpt.SWIN, "reading": "pooled"})
    model = on_meta(config)
    mapped, dropped = xraygpt.keys(config).apply(meta_state(listing(golden / "xraygpt/medclip_linear_state_dict.tsv")))
    wanted = {name: shape for name, shape in expected_shapes(model).items() if not name.startswith("language_model.")}
    assert {name: tuple(tensor.shape) for name, tensor in mapped.items()} == wanted
    assert "text_model.model.embeddings.position_ids" in dropped


def test_llava_tri_fits_its_listing(golden: Path) -> None:
    config = llava.config({})
    model = on_meta(config)
    assert fits(model, llava.keys(config), listing(golden / "llava/llava_tri_state_dict.tsv")) == []
    assert sum(p.numel() for p in model.parameters()) == 8_363_137_024
    assert config.image_tokens((1, 1008, 1008)) == 576


def test_an_unknown_key_is_named_and_refused() -> None:
    config = llava.config({})
    with pytest.raises(UsageError, match=r"1 keys of the checkpoint are unknown: model\.surprise"):
        llava.keys(config).apply(meta_state({"model.surprise": (1,)}))
