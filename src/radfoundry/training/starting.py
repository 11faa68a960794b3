"""From corpora and a model's name to a running training: tokenizer, weights, examples, loop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch

from radfoundry.corpus import Corpus
from radfoundry.errors import UsageError
from radfoundry.model import PRESETS, VLM, Processor, create, load
from radfoundry.training.examples import StudyExamples
from radfoundry.training.loop import Progress, Settings, TrainReport, train

__all__ = ["train_on"]

_TEXTS = 200_000  # enough words for a vocabulary of any preset


def train_on(
    corpora: Sequence[Corpus],
    model: str,
    run: Path,
    settings: Settings,
    *,
    tasks: Collection[str] = (),
    progress: Progress | None = None,
) -> TrainReport:
    """Train `model` (a preset or a checkpoint folder) on the training split of some corpora; on some tasks alone if named."""
    torch.manual_seed(settings.seed)
    network, processor = _open(model, run, corpora)
    data = StudyExamples(corpora, processor, network.config, "train", tasks)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return train(
        network, processor, data, run, settings,
        validation=_validation(corpora, processor, network, tasks), device=device, progress=progress,
    )  # fmt: skip


def _open(model: str, run: Path, corpora: Sequence[Corpus]) -> tuple[VLM, Processor]:
    """A run goes on with its own weights; a preset starts with a vocabulary of the corpora's training texts."""
    if (run / "last" / "config.json").exists():
        return load(run / "last")
    if model in PRESETS:
        texts = islice(_texts(corpora), _TEXTS)
        return create(PRESETS[model], texts)
    if Path(model).is_dir():
        return load(model)
    raise UsageError(
        f"no model {model!r}", f"it is neither {', '.join(PRESETS)} nor a folder", "radfoundry train --help"
    )


def _texts(corpora: Sequence[Corpus]) -> Iterator[str]:
    for corpus in corpora:
        for sample in corpus.samples(split="train"):
            yield from (turn.text for turn in sample.turns)


def _validation(
    corpora: Sequence[Corpus], processor: Processor, model: VLM, tasks: Collection[str]
) -> StudyExamples | None:
    try:
        return StudyExamples(corpora, processor, model.config, "validation", tasks)
    except UsageError:  # a small corpus may have no patient in it
        return None
