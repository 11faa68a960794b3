"""Region models (RadGenome's two baselines, Reg2RG): against a rewrite in the published axis order, and in conversation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_families import RADGENOME, REG2RG, SHAPES, codec_of

from radfoundry.model import VLM, Answerer, ImagePart, Processor, Question, RegionPart, Turn
from radfoundry.model.families import radgenome, reg2rg
from radfoundry.model.families.keys import check
from radfoundry.model.families.registry import FAMILIES, processor_for, recognise

State = dict[str, torch.Tensor]


def build(family: str, published: dict) -> tuple[VLM, Processor]:
    torch.manual_seed(0)
    config = FAMILIES[family].config(published)
    return VLM(config).eval(), processor_for(FAMILIES[family].vocabulary(codec_of(family)), config)


# RadGenome, in the axes of its own code: (H, W, D) -----------------------------------------------------------------


def published_state() -> State:
    """Weights under published names, the language model left to ours."""
    generator = torch.Generator().manual_seed(3)
    state: State = {}

    def put(name: str, *shape: int) -> None:
        fan = int(np.prod(shape[1:])) or 1
        state[name] = torch.randn(shape, generator=generator) / fan**0.5

    widths = [1, *RADGENOME["stages"]]
    for stage in range(6):
        for i in range(2):
            inward = widths[stage] if i == 0 else widths[stage + 1]
            stem = f"vision_backbone.encoder.stages.{stage}.0.convs.{i}."
            put(stem + "conv.weight", widths[stage + 1], inward, 3, 3, 3)
            put(stem + "conv.bias", widths[stage + 1])
            state[stem + "all_modules.0.weight"] = state[stem + "conv.weight"]
            put(stem + "norm.weight", widths[stage + 1])
            put(stem + "norm.bias", widths[stage + 1])
    put("vision_backbone.decoder.stages.0.convs.0.conv.weight", 2, 2, 3, 3, 3)
    for i, (inward, outward) in enumerate([(1, 2), (2, 4), (4, 8)], start=1):
        put(f"prompt_encoder.conv{i}.weight", outward, inward, 2, 2, 2)
        put(f"prompt_encoder.conv{i}.bias", outward)
    put("multihead_attn.in_proj_weight", 24, 8)
    put("multihead_attn.in_proj_bias", 24)
    put("multihead_attn.out_proj.weight", 8, 8)
    put("multihead_attn.out_proj.bias", 8)
    for i, (inward, outward) in ((0, (8, 12)), (2, (12, 24))):
        put(f"image_proj_mlp.{i}.weight", outward, inward)
        put(f"image_proj_mlp.{i}.bias", outward)
    return state


def published_tokens(state: State, image: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The baselines' visual tokens for (H, W, D) arrays, written straight from their description."""
    x = image[None, None]
    for stage in range(6):
        for i in range(2):
            stem = f"vision_backbone.encoder.stages.{stage}.0.convs.{i}."
            stride = 2 if stage and not i else 1
            x = F.conv3d(x, state[stem + "conv.weight"], state[stem + "conv.bias"], stride=stride, padding=1)
            x = F.instance_norm(x, weight=state[stem + "norm.weight"], bias=state[stem + "norm.bias"])
            x = F.leaky_relu(x, 0.01)
    tokens = x.flatten(2).transpose(1, 2)
    if mask is not None:
        m = F.interpolate(mask[None, None], scale_factor=0.25, mode="trilinear", align_corners=True)
        for i in (1, 2, 3):
            m = F.conv3d(m, state[f"prompt_encoder.conv{i}.weight"], state[f"prompt_encoder.conv{i}.bias"], stride=2)
        attention = torch.nn.MultiheadAttention(8, 4, batch_first=True)
        names = [key for key in state if key.startswith("multihead_attn.")]
        attention.load_state_dict({key.removeprefix("multihead_attn."): state[key] for key in names})
        tokens, _ = attention(m.flatten(2).transpose(1, 2), tokens, tokens)
    for i in (0, 2):
        tokens = F.gelu(F.linear(tokens, state[f"image_proj_mlp.{i}.weight"], state[f"image_proj_mlp.{i}.bias"]))
    return tokens[0]


@pytest.mark.parametrize("grounded", [True, False])
def test_radgenome_computes_the_published_tokens_in_the_published_order(grounded: bool) -> None:
    model, _ = build("radgenome", {**RADGENOME, "grounded": grounded})
    state = published_state()
    mapped, dropped = radgenome.keys(model.config).apply(state)
    assert len(dropped) == 13
    own = {k: v for k, v in model.state_dict().items() if k.startswith("language_model.")}
    kept = {k: v for k, v in mapped.items() if grounded or not k.startswith("regions.")}
    check(model, {**own, **kept}, "the rewrite")
    model.load_state_dict({**own, **kept})
    image, mask = torch.randn(64, 32, 32), (torch.rand(64, 32, 32) > 0.5).float()
    wanted = published_tokens(state, image, mask if grounded else None)
    from radfoundry.model.vlm import Regions

    regions = Regions(torch.tensor([0]), [mask.permute(2, 0, 1)], torch.zeros(1, 6)) if grounded else None
    table = model.see([image.permute(2, 0, 1)[None]], regions).table
    count = model.config.image_tokens(SHAPES["radgenome"])
    assert torch.allclose(table[count:] if grounded else table, wanted, atol=1e-4)


def test_a_whole_scan_is_a_mask_of_ones_and_another_region_another_answer() -> None:
    model, processor = build("radgenome", RADGENOME)
    volume, shape = torch.rand(1, *SHAPES["radgenome"]), SHAPES["radgenome"]
    whole = processor.encode([Turn("user", [ImagePart(), "Describe it."])], [shape])
    ones = processor.encode([Turn("user", [RegionPart(0, mask=np.ones(shape, dtype=bool)), "Describe it."])], [shape])
    corner = processor.encode([Turn("user", [RegionPart(0, box_zyx=(0, 0, 0, 9, 20, 20)), "Describe it."])], [shape])
    logits = [model(processor.collate([sample], [[volume]])).logits for sample in (whole, ones, corner)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])


def test_a_region_answer_names_its_region_first() -> None:
    text = radgenome.region_answer("<Abnormality> Nodule.", "left lung", "lung")
    assert radgenome.split_region_answer(text) == ("left lung", "<Abnormality> Nodule.")
    assert radgenome.split_region_answer("Clear.") == (None, "Clear.")


def test_hounsfield_units_are_clipped_before_they_are_scored_rg_t32() -> None:
    volume = np.full((8, 8, 8), -8192, dtype=np.float32)
    volume[4:] = 500
    view = radgenome.view(volume, (4, 4, 4))
    assert view.min() == pytest.approx(-1, abs=1e-5)
    assert view.max() == pytest.approx(1, abs=1e-5)


# Reg2RG ------------------------------------------------------------------------------------------------------------


def test_reg2rg_is_told_from_radfm_by_its_mask_encoder() -> None:
    assert recognise(["embedding_layer.mask_encoder.x", "embedding_layer.fc.weight", "lang_model.x"]) == "reg2rg"
    assert recognise(["embedding_layer.fc.weight", "lang_model.x"]) == "radfm"


def test_reg2rg_has_33_tokens_a_region_and_tags_of_its_own() -> None:
    config = reg2rg.config({})
    assert config.image_tokens(reg2rg.VOLUME) + config.given.tokens == 33
    assert config.extra_tokens == 4
    assert config.regions.settings["width"] == 255


def test_reg2rg_reads_the_scan_then_each_region_and_names_them() -> None:
    model, processor = build("reg2rg", REG2RG)
    shape = SHAPES["reg2rg"]
    mask = np.zeros(shape, dtype=bool)
    mask[:2] = True
    parts = [ImagePart(0), RegionPart(1, mask=mask), RegionPart(2, mask=~mask), "Report."]
    sample = processor.encode([Turn("user", parts), Turn("assistant", ["The region 0 is lung: Clear."])], [shape] * 3)
    assert [row for _, row in sample.extra] == [0, 1, 2, 3, 2, 3]
    assert [image for _, image, _ in sample.image_at] == [0, 1, 2]
    batch = processor.collate([sample], [[torch.rand(3, *shape)] * 3])
    out = model(batch)
    assert torch.isfinite(out.loss)
    swapped = [ImagePart(0), RegionPart(1, mask=~mask), RegionPart(2, mask=~mask), "Report."]
    other = processor.encode([Turn("user", swapped), Turn("assistant", ["The region 0 is lung: Clear."])], [shape] * 3)
    assert not torch.equal(model(processor.collate([other], [[torch.rand(3, *shape)] * 3])).logits, out.logits)


def test_reg2rg_maps_its_published_keys() -> None:
    model, _ = build("reg2rg", REG2RG)
    config = model.config
    state: State = {
        "embedding_layer.image_token_weight": torch.zeros(2, 24),
        "embedding_layer.region_token_weight": torch.ones(2, 24),
        "embedding_layer.mask_fc.weight": torch.zeros(24, 15),
        "embedding_layer.mask_encoder.pos_embedding.dep_embed.weight": torch.zeros(8, 5),
        "embedding_layer.mask_encoder.transformer.layers.0.0.fn.to_qkv.weight": torch.zeros(384, 15),
        "embedding_layer.weight": torch.ones(340, 24),
        "lang_model.model.embed_tokens.weight": torch.zeros(340, 24),
    }
    mapped, _ = reg2rg.keys(config).apply(state)
    own = model.state_dict()
    assert all(own[name].shape == tensor.shape for name, tensor in mapped.items())
    assert mapped["extra"][:, 0].tolist() == [0, 0, 1, 1]
    assert mapped["language_model.causal.model.embed_tokens.weight"].all()


def test_an_empty_mask_means_absent_and_crashes_nothing_rg_t29() -> None:
    volume = np.random.default_rng(0).normal(0, 50, (6, 9, 9)).astype(np.float32)
    assert reg2rg.region_view(volume, np.zeros(volume.shape, dtype=bool), (4, 8, 8)) is None
    mask = np.zeros(volume.shape, dtype=bool)
    mask[2:4, 3:6, 3:6] = True
    view = reg2rg.region_view(volume, mask, (4, 8, 8))
    assert view is not None
    assert view.shape == (3, 4, 8, 8)
    assert reg2rg.view(volume, (4, 8, 8)).max() <= 1
    assert reg2rg.mask_view(volume, mask, (4, 8, 8)).any()


def test_region_reports_are_read_by_the_name_they_give() -> None:
    text = "The region 0 is lung: Clear. The region 1 is heart: Large. The region 2 is lung: Again."
    assert reg2rg.region_reports(text) == {"lung": "Clear.", "heart": "Large."}


def test_a_grounded_question_can_be_asked_without_a_shared_prefix() -> None:
    model, processor = build("radgenome", RADGENOME)
    answerer = Answerer(model, processor)
    study = answerer.open([torch.rand(1, *SHAPES["radgenome"])])
    region = RegionPart(0, box_zyx=(0, 0, 0, 9, 20, 20))
    asked = [Question([region, "What?"], max_tokens=3), Question("And the whole scan?", max_tokens=3)]
    together = answerer.ask(study, asked)
    assert [answer.text for answer in together] == [answerer.ask(study, [question])[0].text for question in asked]
