"""The loop: draw studies, forward, backward, step, log, save, evaluate. Order and draws follow from (seed, step) alone.

A run folder holds `config.json`, `log.jsonl`, `last/` (a checkpoint with the optimiser beside it) and `best/`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from radfoundry.model import VLM, Processor, save
from radfoundry.training.examples import StudyExample, StudyExamples
from radfoundry.training.packing import packed_losses
from radfoundry.training.state import load_optimiser, save_optimiser

__all__ = ["Settings", "TrainReport", "train"]


@dataclass(frozen=True)
class Settings:
    """What a run depends on besides data and model."""

    steps: int = 300
    studies_per_step: int = 8
    questions_per_study: int = 12
    learning_rate: float = 2e-3
    warmup: float = 0.05
    """Share of the steps in which the rate rises; then it falls as a cosine to a tenth."""
    weight_decay: float = 0.01
    clip: float = 1.0
    mask_weight: float = 1.0
    box_weight: float = 0.25
    seed: int = 0
    save_every: int = 100
    evaluate_every: int = 100
    seconds: float | None = None
    """Stop after so many seconds; the schedule then follows time instead of steps."""


@dataclass(frozen=True)
class TrainReport:
    """How a run ended."""

    run: Path
    steps: int
    loss: float
    validation_loss: float | None
    questions_per_second: float
    seconds: float


Progress = Callable[[dict[str, Any]], None]


def train(
    model: VLM,
    processor: Processor,
    data: StudyExamples,
    run: Path,
    settings: Settings,
    *,
    validation: StudyExamples | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> TrainReport:
    """Train until the steps or seconds are used up; a run folder that holds a checkpoint of this run goes on from it.

    progress is called with every line of the log.
    """
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
    model.to(device).train()
    optimiser = _optimiser(model, settings)
    first = load_optimiser(run / "last", model, optimiser)
    began, best, line = time.perf_counter(), math.inf, {}
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        step = first
        while step < settings.steps and not _out_of_time(began, settings):
            _set_rate(optimiser, settings, _share_done(step, began, settings))
            line = _step(model, processor, optimiser, _draw(data, settings, step), settings, device)
            step += 1
            line |= {"step": step, "seconds": round(time.perf_counter() - began, 3)}
            if validation is not None and (step % settings.evaluate_every == 0 or step == settings.steps):
                line["validation_loss"] = evaluate(model, processor, validation, settings, device)
                if line["validation_loss"] < best:
                    best = line["validation_loss"]
                    save(model, processor, run / "best")
            log.write(json.dumps(line) + "\n")
            log.flush()
            if progress is not None:
                progress(line)
            if step % settings.save_every == 0:
                _save(model, processor, optimiser, run, step)
        _save(model, processor, optimiser, run, step)
    seconds = time.perf_counter() - began
    rate = line.get("questions_per_second", 0.0)
    return TrainReport(run, step, line.get("loss", math.nan), best if math.isfinite(best) else None, rate, seconds)


def _step(
    model: VLM,
    processor: Processor,
    optimiser: torch.optim.Optimizer,
    studies: list[StudyExample],
    settings: Settings,
    device: str,
) -> dict[str, Any]:
    began = time.perf_counter()
    losses = packed_losses(model, processor, studies, device)
    loss = total_loss(losses, settings)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    optimiser.step()
    seconds = time.perf_counter() - began
    questions = sum(len(s.conversations) for s in studies)
    return {
        "loss": round(loss.item(), 5),
        **{f"loss_{name}": round(term.item(), 5) for name, term in losses.items()},
        "gradient_norm": round(norm.item(), 4),
        "learning_rate": optimiser.param_groups[0]["lr"],
        "questions_per_second": round(questions / seconds, 1),
    }


def total_loss(losses: dict[str, torch.Tensor], settings: Settings) -> torch.Tensor:
    """Return the weighted sum of the terms."""
    weights = {"text": 1.0, "mask": settings.mask_weight, "box": settings.box_weight}
    return torch.stack([weights[name] * term for name, term in losses.items()]).sum()


@torch.no_grad()
def evaluate(model: VLM, processor: Processor, data: StudyExamples, settings: Settings, device: str) -> float:
    """Return the mean loss over up to 32 studies of another split, the same questions every time."""
    model.eval()
    rng = np.random.default_rng([settings.seed, 7])
    numbers = range(0, len(data), max(1, len(data) // 32))
    losses = [
        total_loss(packed_losses(model, processor, [data.example(n, 8, rng)], device), settings).item() for n in numbers
    ]
    model.train()
    return round(float(np.mean(losses)), 5)


def _draw(data: StudyExamples, settings: Settings, step: int) -> list[StudyExample]:
    """Return the studies of a step: an epoch is one permutation of all studies, known from the seed alone."""
    rng = np.random.default_rng([settings.seed, step])
    places = np.arange(step * settings.studies_per_step, (step + 1) * settings.studies_per_step)
    out = []
    for place in places:
        epoch, within = divmod(int(place), len(data))
        order = np.random.default_rng([settings.seed, 1 << 20, epoch]).permutation(len(data))
        out.append(data.example(int(order[within]), settings.questions_per_study, rng))
    return out


def _optimiser(model: VLM, settings: Settings) -> torch.optim.AdamW:
    """Weight decay for matrices alone."""
    wide = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    narrow = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": wide, "weight_decay": settings.weight_decay}, {"params": narrow, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def _share_done(step: int, began: float, settings: Settings) -> float:
    if settings.seconds is not None:
        return min(1.0, (time.perf_counter() - began) / settings.seconds)
    return step / max(settings.steps, 1)


def _set_rate(optimiser: torch.optim.Optimizer, settings: Settings, done: float) -> None:
    rising = min(1.0, (done + 1e-3) / max(settings.warmup, 1e-3))
    falling = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done))
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * rising * falling


def _out_of_time(began: float, settings: Settings) -> bool:
    return settings.seconds is not None and time.perf_counter() - began >= settings.seconds


def _save(model: VLM, processor: Processor, optimiser: torch.optim.Optimizer, run: Path, step: int) -> None:
    save(model, processor, run / "last")
    save_optimiser(run / "last", optimiser, step)
