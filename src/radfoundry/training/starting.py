"""From corpora and a model's name to a running training: tokenizer, weights, examples, objective, loop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from radfoundry.corpus import Corpus
from radfoundry.errors import UsageError
from radfoundry.model import PRESETS, VLM, Processor, Vocabulary, create, load, save
from radfoundry.model.checkpoint import load_clip, read_config
from radfoundry.model.clip import ContrastiveModel
from radfoundry.training.contrast import Contrast, Pairs, create_clip
from radfoundry.training.distributed import Ranks, alone
from radfoundry.training.drawing import Data
from radfoundry.training.examples import StudyExamples
from radfoundry.training.loop import Progress, Settings, TrainReport, train
from radfoundry.training.objectives import Objective, adapt, learn_only
from radfoundry.training.recipes import Recipe
from radfoundry.training.seeing import Scenes, See, names_in
from radfoundry.training.state import last_checkpoint, trained_checkpoint
from radfoundry.training.trackers import Tracker

__all__ = ["size_of", "tasks_of", "train_on"]

_TEXTS = 200_000  # enough words for a vocabulary of any preset
_SEEING_RATE = 4e-3
_GLANCES = 6 << 30  # bytes of what frozen parts made of images


def train_on(
    corpora: Sequence[Corpus],
    model: str,
    run: Path,
    settings: Settings,
    *,
    tasks: Collection[str] = (),
    recipe: Recipe | None = None,
    seeing: float = 0.5,
    ranks: Ranks | None = None,
    trackers: Sequence[Tracker] = (),
    progress: Progress | None = None,
) -> TrainReport:
    """Train `model` (a preset or a checkpoint folder) on the training split of some corpora; on some tasks alone if named.

    recipe: which parts learn, and by which objective; settings are its `Recipe.settings` or others. seeing: a fresh model of ours that is
    to mark what label maps name learns that first (`seeing.py`), in this share of the time or steps; what a model sees with stays as it
    is afterwards, 0 lets it learn with the rest. ranks: the processes that train together.
    """
    ranks = ranks or alone("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(settings.seed)
    clip = recipe is not None and recipe.objective == "clip"
    network, words = _opened(model, run, corpora, clip, ranks)
    if recipe is not None:
        if isinstance(network, VLM):
            rank, alpha, dropout = recipe.lora_rank, recipe.lora_alpha, recipe.lora_dropout
            adapt(network, recipe.tuning, rank=rank, alpha=alpha, dropout=dropout)
        learn_only(network, recipe.learns)
    objective: Objective | None = None
    if isinstance(network, ContrastiveModel) and isinstance(words, Vocabulary):
        objective = Contrast(network, words, ranks)
    if recipe is None and isinstance(network, VLM) and network.names_things and seeing > 0:
        if model in PRESETS:
            settings = _learned_to_see(network, words, corpora, run, settings, seeing, ranks, progress)
        network.sight.requires_grad_(False)
        if ranks.device.type == "cpu":
            network.remember(_GLANCES)
    return train(
        network, words, _data(corpora, network, words, "train", tasks), run, settings,
        objective=objective, validation=_validation(corpora, network, words, tasks), ranks=ranks, trackers=trackers,
        progress=progress,
    )  # fmt: skip


def _learned_to_see(
    network: VLM,
    words: Words,
    corpora: Sequence[Corpus],
    run: Path,
    settings: Settings,
    share: float,
    ranks: Ranks,
    progress: Progress | None,
) -> Settings:
    """Teach a fresh network to see, unless the run has come further; return the settings of what is left."""
    if trained_checkpoint(run) is None:
        seconds = settings.seconds * share if settings.seconds is not None else None
        steps = settings.steps if seconds is not None else round(settings.steps * share / (1 - share))
        scenes = Scenes(corpora, network.config, "train")
        network.requires_grad_(False)
        network.sight.requires_grad_(True)
        first = replace(
            settings, seconds=seconds, steps=steps, studies_per_step=8 * ranks.world, optimiser="muon",
            learning_rate=_SEEING_RATE, last_rate=0.03, augment=0.0, balance=False, accumulate=1,
        )  # fmt: skip
        train(
            network,
            words,
            scenes,
            run / "seeing",
            first,
            objective=See(network, scenes.weights),
            ranks=ranks,
            progress=progress,
        )
        network.requires_grad_(True)
    return replace(settings, seconds=settings.seconds * (1 - share) if settings.seconds is not None else None)


def tasks_of(corpora: Sequence[Corpus], wanted: Collection[str], objective: str = "instruct") -> tuple[str, ...]:
    """Return those of the wanted tasks that the corpora's training split holds; pairs of a contrast are made of all.

    Raises:
        UsageError: it holds none of them.
    """
    there = {sample.task for corpus in corpora for sample in corpus.samples(split="train")}
    found = tuple(task for task in wanted if task in there)
    if wanted and not found and objective != "clip":
        raise UsageError(
            f"the recipe learns from {', '.join(wanted)}", f"the corpora hold {', '.join(sorted(there)) or 'nothing'}",
            "build another kind of corpus, or name tasks with --tasks",
        )  # fmt: skip
    return found


def size_of(corpora: Sequence[Corpus], tasks: Collection[str] = ()) -> tuple[int, int]:
    """Return samples and studies of the training split that are of some tasks (all if none is named)."""
    samples = [s for corpus in corpora for s in corpus.samples(split="train") if not tasks or s.task in tasks]
    return len(samples), len({sample.study_id for sample in samples})


Network = VLM | ContrastiveModel
Words = Processor | Vocabulary


def _opened(model: str, run: Path, corpora: Sequence[Corpus], clip: bool, ranks: Ranks) -> tuple[Network, Words]:
    """Open the model; of several processes the first one makes it and the others read what it wrote."""
    if ranks.world == 1:
        return _open(model, run, corpora, clip)
    if ranks.first and last_checkpoint(run) is None:
        save(*_open(model, run, corpora, clip), run / "last")
    ranks.wait()
    return _open(model, run, corpora, clip)


def _open(model: str, run: Path, corpora: Sequence[Corpus], clip: bool) -> tuple[Network, Words]:
    """A run goes on with its own weights; a preset starts with a vocabulary of the corpora's training texts."""
    last = last_checkpoint(run)
    folder = last if last is not None else Path(model)
    if last is None and model in PRESETS:
        texts = islice(_texts(corpora), _TEXTS)
        return create_clip(PRESETS[model], texts) if clip else create(PRESETS[model], texts, names=names_in(corpora))
    if not folder.is_dir():
        raise UsageError(
            f"no model {model!r}", f"it is neither {', '.join(PRESETS)} nor a folder", "radfoundry train --help"
        )
    contrastive = read_config(folder).get("kind") == "clip"
    if contrastive != clip:
        raise UsageError(
            f"{folder} is {'a contrastive' if contrastive else 'no contrastive'} model", "the recipe trains another kind",
            "radfoundry train OUT --recipe m3d-clip" if contrastive else "name a preset or a contrastive checkpoint",
        )  # fmt: skip
    return load_clip(folder) if clip else load(folder)


def _texts(corpora: Sequence[Corpus]) -> Iterator[str]:
    for corpus in corpora:
        for sample in corpus.samples(split="train"):
            yield from (turn.text for turn in sample.turns)


def _data(corpora: Sequence[Corpus], network: Network, words: Words, split: str, tasks: Collection[str]) -> Data:
    if isinstance(network, VLM) and isinstance(words, Processor):
        return StudyExamples(corpora, words, network.config, split, tasks)
    if isinstance(network, ContrastiveModel) and isinstance(words, Vocabulary):
        return Pairs(corpora, words, network.config, split)
    raise TypeError("a model and words of different kinds")


def _validation(corpora: Sequence[Corpus], network: Network, words: Words, tasks: Collection[str]) -> Data | None:
    try:
        return _data(corpora, network, words, "validation", tasks)
    except UsageError:  # a small corpus may have no patient in it
        return None
