"""What is learned, by which parts, and what a step's terms are means of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from radfoundry.errors import UsageError
from radfoundry.model.families.radfm_training import entity_weights, weighted_loss
from radfoundry.training.contrast import Contrast, Pair, create_clip, text_ids
from radfoundry.training.distributed import alone
from radfoundry.training.loop import Settings, train
from radfoundry.training.objectives import Instruct, adapt, learn_only, training_mode
from radfoundry.training.terms import TermWeights, medical_terms, weigh_terms


def _batch(data, numbers=(0, 1), questions=3):
    return [data.example(n, questions, np.random.default_rng(n)) for n in numbers]


def test_counts_are_what_the_terms_are_means_of(tiny) -> None:
    network, processor, data = tiny()
    objective = Instruct(network.eval(), processor)
    both, parts = _batch(data), [_batch(data, (0,)), _batch(data, (1,))]
    whole, total = objective(both), objective.counts(both)
    for name, value in whole.items():
        losses = [objective(part).get(name, torch.zeros(())) * objective.counts(part)[name] for part in parts]
        assert value.item() == pytest.approx((sum(losses) / total[name]).item(), abs=1e-4), name


def test_align_trains_the_connector_alone_and_leaves_frozen_parts_in_evaluation_mode(tiny, tmp_path) -> None:
    """XRG-T18."""
    network, processor, data = tiny()
    adapt(network, "frozen")
    learn_only(network, ["connector"])
    before = {name: p.clone() for name, p in network.named_parameters()}
    training_mode(network)
    assert network.connector.training
    assert not network.vision.training
    assert not network.language_model.training
    train(network, processor, data, tmp_path, Settings(steps=2, studies_per_step=2, questions_per_study=2))
    changed = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert changed
    assert all(name.startswith("connector.") for name in changed)


def test_low_rank_adapters_are_saved_with_the_config_that_builds_them(tiny, tmp_path) -> None:
    network, processor, data = tiny()
    adapt(network, "lora", rank=4, alpha=8, dropout=0.0)
    learn_only(network, ["adapters", "connector"])
    assert any("lora_" in name for name, p in network.named_parameters() if p.requires_grad)
    settings = Settings(steps=2, studies_per_step=2, questions_per_study=2)
    train(network, processor, data, tmp_path, settings)
    again, _, _ = tiny()
    adapt(again, "lora", rank=4, alpha=8, dropout=0.0)
    learn_only(again, ["adapters", "connector"])
    report = train(again, processor, data, tmp_path, replace(settings, steps=3))
    assert report.steps == 3


def test_a_model_without_adapters_cannot_learn_by_them(tiny) -> None:
    network, _, _ = tiny()
    with pytest.raises(UsageError, match="no adapters"):
        learn_only(network, ["adapters"])
    with pytest.raises(UsageError, match="no part ears"):
        learn_only(network, ["ears"])


def test_term_weights_are_radfms(tiny) -> None:
    """RFM-T11: set, not multiplied; RFM-T2: divided by the sum of the weights."""
    _, processor, _ = tiny()
    encode = processor.vocabulary.encode
    terms = TermWeights(["nodule", "liver"], encode, 3.0)
    labels = [-100, *encode("Is there a nodule? Where is the liver? A nodule nodule."), -100]
    entities = [encode(f"{blank}{term}") for term in ("nodule", "liver", "Nodule", "Liver") for blank in ("", " ")]
    assert terms.of(labels) == entity_weights(labels, entities)
    assert 3.0 in terms.of(labels)
    logits = torch.randn(1, len(labels), processor.vocabulary.size)
    ids = torch.tensor([labels])
    expected = weighted_loss(logits, ids, torch.tensor([terms.of(labels)]))
    wanted = ids[:, 1:] != -100
    assert terms.loss(logits[:, :-1][wanted], ids[:, 1:][wanted]).item() == pytest.approx(expected.item(), abs=1e-5)


def test_term_weights_are_really_applied_in_packed_training(tiny) -> None:
    """RFM-T1: the released code computes the weighted loss and returns the plain one."""
    network, processor, data = tiny(points=False)
    network.eval()
    batch = _batch(data)
    plain = Instruct(network, processor)(batch)["text"]
    weigh_terms(network, TermWeights(["upper", "left", "part"], processor.vocabulary.encode, 1.0))
    assert torch.allclose(Instruct(network, processor)(batch)["text"], plain, atol=1e-6)

    network, processor, data = tiny(points=False)
    network.eval()
    heavy = Instruct(network, processor, term_weight=3.0)
    assert "nodule" in medical_terms()
    assert heavy.counts(batch)["text"] >= Instruct(tiny(points=False)[0], processor).counts(batch)["text"]
    weigh_terms(network, TermWeights(["upper", "left", "part"], processor.vocabulary.encode, 30.0))
    assert not torch.allclose(heavy(batch)["text"], plain, atol=1e-3)


def _pair(config, words, seed: int, text: str) -> Pair:
    from radfoundry.geometry import Grid
    from radfoundry.model.looking import look_at

    pixels = np.random.default_rng(seed).normal(0, 30, (8, 16, 16))
    pixels[:, 8 * (seed // 2) :, 8 * (seed % 2) :] += 400
    look = look_at(pixels, Grid.axial((8, 16, 16), (4, 2, 2)), "CT", config)
    return Pair((look,), text_ids(text, words, 64, np.random.default_rng(seed)))


def test_a_contrast_learns_which_text_goes_with_which_image_and_its_scale_stays_in_bounds(tmp_path) -> None:
    from radfoundry.model import nano

    torch.manual_seed(0)
    texts = ["a large liver", "a small heart", "no nodule at all", "the left lung"]
    network, words = create_clip(lambda vocabulary: nano(vocabulary, (8, 16, 16)), texts * 5, 300)

    class Data:
        def __len__(self) -> int:
            return 4

        def example(self, number, questions, rng):
            return _pair(network.config, words, number, texts[number])

    objective = Contrast(network, words, alone())
    settings = Settings(steps=60, studies_per_step=4, learning_rate=5e-4, save_every=100)
    report = train(network, words, Data(), tmp_path, settings, objective=objective)
    assert report.loss < 0.7 * math.log(4)
    with torch.no_grad():
        network.logit_scale.fill_(50.0)
    objective.after_step()
    assert network.logit_scale.item() == pytest.approx(math.log(100))


def test_gathered_rows_of_one_process_are_the_rows() -> None:
    from radfoundry.training.distributed import gather_rows

    rows = torch.randn(3, 4)
    assert gather_rows(rows, alone()) is rows


def test_a_long_text_keeps_its_first_sentence_and_whole_others(tiny) -> None:
    _, processor, _ = tiny()
    words = processor.vocabulary
    text = " ".join(f"Sentence number {n} speaks of the liver." for n in range(20))
    ids = text_ids(text, words, 64, np.random.default_rng(0))
    assert len(ids) <= 64
    assert words.decode(ids).startswith("Sentence number 0 speaks of the liver.")
    assert words.decode(ids).endswith("liver.")
