"""Recipes say what was published, and run on any model and corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import radfoundry
from radfoundry.errors import UsageError
from radfoundry.model import VLM, save
from radfoundry.model.families.registry import FAMILIES, processor_for
from radfoundry.records import TASKS
from radfoundry.training.objectives import PARTS
from radfoundry.training.recipes import RECIPES, recipe

# The papers', scripts' and configs' own figures: rate, samples a step, epochs or steps, weight decay, what learns
PUBLISHED = {
    "xraygpt-stage1": (1e-4, 4 * 3, 4 * 5000, 0.05, {"connector"}),
    "xraygpt-stage2": (3e-5, 1, 2501, 0.05, {"connector"}),
    "radfm-pretrain": (1e-5, 32 * 4, 4, 0.0, set()),
    "radfm-tune": (1e-5, 32 * 4, 4, 0.0, set()),
    "m3d-clip": (1e-4, 8 * 32, 100, 0.1, set()),
    "m3d-align": (1e-4, 8 * 16, 3, 0.0, {"connector", "embeddings"}),
    "m3d-finetune": (5e-5, 8 * 8, 5, 0.0, {"adapters", "vision", "connector", "embeddings", "head", "pointing"}),
    "llava-tri-stage1": (2e-3, 8 * 2 * 4, 1, 0.0, {"connector"}),
    "llava-tri-stage2": (2e-5, 8 * 4 * 8, 1, 0.0, {"connector", "language", "embeddings", "head"}),
    "llava-tri-finetune": (2e-5, 8 * 4 * 8, 3, 0.0, {"connector", "language", "embeddings", "head"}),
    "radgenome-global": (5e-5, 8 * 2 * 8, 40, 0.0, {"adapters", "connector"}),
    "radgenome-grounded": (5e-5, 8 * 2 * 8, 40, 0.0, {"adapters", "connector", "pointing"}),
}
WARMUP = {"m3d-clip": 0.03, "m3d-align": 0.03, "m3d-finetune": 0.03} | {
    f"llava-tri-{stage}": 0.03 for stage in ("stage1", "stage2", "finetune")
}
ADAPTERS = {"m3d-finetune": (16, 32, 0.05), "radgenome-global": (8, 32, 0.1), "radgenome-grounded": (8, 32, 0.1)}
CORPUS = {
    "xraygpt": "summary",
    "radfm": "instruction",
    "m3d": "m3d",
    "llava": "description",
    "radgenome": "grounded-report",
}


def test_every_recipe_is_in_the_table() -> None:
    assert set(RECIPES) == set(PUBLISHED)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_the_published_figures(name: str) -> None:
    ours = recipe(name)
    rate, samples, length, decay, learns = PUBLISHED[name]
    assert (ours.learning_rate, ours.samples_per_step, ours.weight_decay) == (rate, samples, decay)
    assert (ours.steps or ours.epochs) == length
    assert set(ours.learns) == learns
    assert ours.warmup == WARMUP.get(name, 0.0)
    assert ours.betas == (0.9, 0.999)
    assert ours.term_weight == (3.0 if ours.family == "radfm" else 1.0)
    assert (ours.tuning == "lora") == (name in ADAPTERS)
    if name in ADAPTERS:
        assert (ours.lora_rank, ours.lora_alpha, ours.lora_dropout) == ADAPTERS[name]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_what_there_is(name: str) -> None:
    ours = recipe(name)
    assert ours.family in FAMILIES
    assert set(ours.tasks) <= set(TASKS)
    assert set(ours.learns) <= set(PARTS)
    assert ours.objective in ("clip", "align", "instruct")


def test_xraygpts_rates_and_warm_up_are_those_of_its_configs() -> None:
    one, two = recipe("xraygpt-stage1").settings(0, 0), recipe("xraygpt-stage2").settings(0, 0)
    assert one.warmup * one.steps == pytest.approx(500)
    assert two.warmup * two.steps == pytest.approx(200)
    for settings, first, last in ((one, 1e-6, 8e-5), (two, 1e-6, 1e-5)):
        assert settings.first_rate * settings.learning_rate == pytest.approx(first)
        assert settings.last_rate * settings.learning_rate == pytest.approx(last)


def test_an_epoch_asks_every_sample_once_or_shows_every_study_once() -> None:
    align = recipe("m3d-align")
    assert align.steps_for(samples=12_800, studies=2_000) == 300
    assert align.studies_per_step * align.questions_per_study == align.samples_per_step
    assert recipe("radgenome-global").steps_for(samples=99_999, studies=160) == 400


def test_what_a_person_asks_for_comes_before_the_recipe() -> None:
    settings = recipe("m3d-finetune").settings(640, 80, steps=7, learning_rate=1e-3)
    assert (settings.steps, settings.learning_rate, settings.studies_per_step) == (7, 1e-3, 8)


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="m3d-finetune"):
        recipe("m3d-finetuned")


def _tiny_family(family: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a published family at a tiny size, with random weights."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "model")
    from tiny_families import TINY, codec_of

    torch.manual_seed(0)
    published = TINY[family]
    if family == "radfm":  # deep enough for a phantom, whose depth RadFM's view keeps
        published = {**published, "hard_coded": {**published["hard_coded"], "vit_frames": 64}}
    config = FAMILIES[family].config(published)
    vocabulary = FAMILIES[family].vocabulary(codec_of(family))
    return save(VLM(config), processor_for(vocabulary, config), folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_on_its_family_at_a_tiny_size(name, phantom_corpora, tmp_path, monkeypatch) -> None:
    ours = recipe(name)
    corpus = phantom_corpora[CORPUS[name.split("-")[0]]]
    if ours.objective == "clip":
        corpus, model = phantom_corpora["grounded-report"], "nano"
    else:
        model = str(_tiny_family(ours.family, tmp_path / "model", monkeypatch))
    run = tmp_path / "run"
    radfoundry.train([corpus.path], model=model, recipe=name, run=run, steps=2, studies=2, questions=2, sharding="ddp")
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2]
    assert (run / "last" / "config.json").exists()
