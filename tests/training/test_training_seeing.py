"""Learning to see before learning to speak: names, crops, the optimiser, what is remembered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from phantom_corpus import build
from radfoundry.corpus import Corpus
from radfoundry.model import VLM, create, load, nano, save
from radfoundry.phantom import write_cohort
from radfoundry.training.loop import Settings
from radfoundry.training.muon import Muon, _orthogonal
from radfoundry.training.seeing import Scenes, See, names_in
from radfoundry.training.starting import train_on


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("seeing")
    return build("m3d", write_cohort(folder / "studies", 4, splits=("train",)), folder / "m3d")


@pytest.fixture(scope="module")
def seeing(corpus: Corpus) -> tuple[VLM, Scenes]:
    torch.manual_seed(0)
    model, _ = create(nano, ["Is there a nodule?"] * 4, names=names_in([corpus]))
    return model, Scenes([corpus], model.config, "train")


def test_names_are_those_of_label_maps_that_several_training_images_show(corpus: Corpus) -> None:
    names = names_in([corpus])
    assert {"heart", "liver", "left lung upper lobe"} <= set(names)
    assert list(names) == sorted(names)


def test_a_crop_is_a_piece_of_the_view_and_knows_where_it_lies(seeing: tuple[VLM, Scenes]) -> None:
    _, scenes = seeing
    volumes = [n for n in range(len(scenes)) if scenes._scene(n).volume.shape[1] > 1]
    crop = scenes.example(volumes[0], 1, np.random.default_rng(0))
    assert crop.volume.shape == (4, 16, 32, 32)
    assert crop.labels.shape == (16, 32, 32)
    steps = crop.volume[1:, 1:, 1:, 1:] - crop.volume[1:, :-1, :-1, :-1]
    assert np.allclose(steps[0], 0.09, rtol=0.05)
    assert np.allclose(steps[1:], 0.055, rtol=0.05)


def test_crops_aim_at_rare_names_more_often_than_at_common_ones(seeing: tuple[VLM, Scenes]) -> None:
    model, scenes = seeing
    number = 1 + model.config.segmentation.names.index("left adrenal gland")
    volumes = [n for n in range(len(scenes)) if number in scenes._scene(n).voxels]
    rng = np.random.default_rng(0)
    hits = [bool((scenes.example(volumes[0], 1, rng).labels == number).any()) for _ in range(60)]
    assert np.mean(hits) > 0.25


def test_a_few_steps_lower_the_loss_and_what_was_not_asked_to_learn_stays(seeing: tuple[VLM, Scenes]) -> None:
    model, scenes = seeing
    model.requires_grad_(False)
    model.sight.requires_grad_(True)
    objective = See(model, scenes.weights)
    before = model.language_model.causal.get_input_embeddings().weight.clone()
    optimiser = Muon(objective, lr=4e-3, weight_decay=0.01, betas=(0.9, 0.98))
    rng = np.random.default_rng(0)
    batch = [scenes.example(n % len(scenes), 1, rng) for n in range(3)]
    losses = []
    for _ in range(4):
        loss = sum(objective(batch).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.2
    assert torch.equal(before, model.language_model.causal.get_input_embeddings().weight)


def test_a_crop_and_the_whole_volume_agree_away_from_the_crops_edge(seeing: tuple[VLM, Scenes]) -> None:
    model, scenes = seeing
    number = next(n for n in range(len(scenes)) if scenes._scene(n).volume.shape[1] > 1)
    volume = scenes._scene(number).volume
    stem = model.vision.embedding
    with torch.no_grad():
        whole = stem.maps(volume[None])[1]
        part = stem.maps(volume[None, :, 8:24, 16:48, 16:48])[1]
    # two 3x3x3 convolutions at the first level: two cells from the edge nothing of the outside is seen
    assert torch.allclose(part[0, :, 2:-2, 2:-2, 2:-2], whole[0, :, 10:22, 10:22, 10:22], atol=1e-5)


def test_what_frozen_parts_made_of_an_image_is_made_once(
    seeing: tuple[VLM, Scenes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, scenes = seeing
    volume = scenes._scene(0).volume
    model.sight.requires_grad_(False)
    model.remember(1 << 28)
    calls = []
    glance = model.glance
    monkeypatch.setattr(model, "glance", lambda images: calls.append(len(images)) or glance(images))
    model.train()
    kept = [model.see([volume]).table for _ in range(3)]
    model.eval()
    with torch.no_grad():
        plain = model.see([volume]).table
    assert calls == [1]
    assert torch.allclose(kept[2], plain, atol=2e-2)
    model.memory = None


def test_the_orthogonal_factor_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((8, 24), (24, 8), (16, 16)):
        values = torch.linalg.svdvals(_orthogonal(torch.randn(*shape)))
        assert values.max() < 1.3
        assert values.min() > 0.3


def test_muon_turns_inner_matrices_alone(seeing: tuple[VLM, Scenes]) -> None:
    model, _ = seeing
    model.requires_grad_(True)
    optimiser = Muon(model, lr=1e-3, weight_decay=0.0, betas=(0.9, 0.98))
    names = {id(p): name for name, p in model.named_parameters()}
    turned = {names[id(p)] for group in optimiser.param_groups if group["matrices"] for p in group["params"]}
    assert any("vision.embedding.levels.1" in name for name in turned)
    assert not any("embed_tokens" in name or "names" in name or "direct" in name or "norm" in name for name in turned)


def test_a_saved_optimiser_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    def steps(network: torch.nn.Linear, optimiser: Muon, count: int) -> None:
        for i in range(count):
            optimiser.zero_grad()
            network(torch.full((2, 16), 1.0 + i)).square().mean().backward()
            optimiser.step()

    torch.manual_seed(0)
    first = torch.nn.Linear(16, 16)
    second = torch.nn.Linear(16, 16)
    second.load_state_dict(first.state_dict())
    one, two = (Muon(n, lr=1e-2, weight_decay=0.01, betas=(0.9, 0.98)) for n in (first, second))
    steps(first, one, 2)
    steps(second, two, 2)
    torch.save(two.state_dict(), tmp_path / "state.pt")
    three = Muon(second, lr=1e-2, weight_decay=0.01, betas=(0.9, 0.98))
    three.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    steps(first, one, 3)
    steps(second, three, 3)
    assert torch.equal(first.weight, second.weight)


def test_weights_that_have_not_learned_yet_are_no_reason_not_to_see(corpus: Corpus, tmp_path: Path) -> None:
    # of several processes the first one saves the fresh model for the others
    torch.manual_seed(0)
    save(*create(nano, ["Is there a nodule?"] * 4, names=names_in([corpus])), tmp_path / "run" / "last")
    settings = Settings(steps=1, studies_per_step=1, questions_per_study=2)
    train_on([corpus], "nano", tmp_path / "run", settings)
    assert (tmp_path / "run" / "seeing" / "last" / "config.json").exists()


def test_a_checkpoint_goes_on_with_the_eyes_that_it_has(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save(*create(nano, ["Is there a nodule?"] * 4, names=names_in([corpus])), tmp_path / "before")
    before, _ = load(tmp_path / "before")
    train_on(
        [corpus],
        str(tmp_path / "before"),
        tmp_path / "run",
        Settings(steps=1, studies_per_step=1, questions_per_study=2),
    )
    after, _ = load(tmp_path / "run" / "last")
    assert not (tmp_path / "run" / "seeing").exists()
    assert all(torch.equal(a, b) for a, b in zip(before.sight.parameters(), after.sight.parameters(), strict=True))
