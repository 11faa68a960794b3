"""The loop: draw studies, forward, backward, step, log, evaluate, save. Order and draws follow from (seed, step) alone.

A run folder holds `config.json`, `log.jsonl`, `last/` (a checkpoint with the optimiser beside it) and `best/`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model import VLM, Processor, Vocabulary
from radfoundry.model.clip import ContrastiveModel
from radfoundry.training import state
from radfoundry.training.blocks import recompute
from radfoundry.training.distributed import Ranks, alone, later, spread, whole
from radfoundry.training.drawing import Data, Drawer, balanced, seed_of
from radfoundry.training.examples import StudyExamples
from radfoundry.training.flops import FlopCounter
from radfoundry.training.hardware import peak_flops, peak_memory
from radfoundry.training.muon import Muon
from radfoundry.training.objectives import Instruct, Objective, autocast, trained, training_mode
from radfoundry.training.schedule import rate_at
from radfoundry.training.trackers import JsonLines, Tracker

__all__ = ["Settings", "TrainReport", "train"]


@dataclass(frozen=True)
class Settings:
    """What a run depends on besides data and model."""

    steps: int = 300
    studies_per_step: int = 8
    """Of all processes together."""
    questions_per_study: int = 12
    accumulate: int = 1
    """Parts of a step whose gradients are added up, one after the other: less memory, the same step."""
    learning_rate: float = 2e-3
    """The highest of the schedule."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises; then it falls as a cosine."""
    first_rate: float = 0.01
    """Share of the highest rate at which it starts."""
    last_rate: float = 0.1
    """Share of the highest rate at which it ends."""
    optimiser: str = "adamw"
    """"adamw", or "muon" for the matrices inside the network: a small model learns in fewer steps."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    """The gradient's highest norm; 0 leaves it as it is."""
    mask_weight: float = 1.0
    box_weight: float = 0.25
    term_weight: float = 1.0
    """What a token of a medical term counts beside any other (3 in RadFM)."""
    balance: bool = False
    """Draw studies so that each answer of closed questions comes equally often."""
    augment: float = 0.0
    """Strength of the laterality-safe augmentation; 1 turns up to 10 degrees and scales up to 10 %."""
    seed: int = 0
    save_every: int = 100
    evaluate_every: int = 100
    seconds: float | None = None
    """Stop after so many seconds; the schedule then follows time instead of steps."""
    precision: str = "auto"
    """"bfloat16" (the default on a GPU: weights stay float32) or "float32"."""
    recompute: bool = False
    """Keep no activations inside of blocks (gradient checkpointing)."""
    sharding: str = "ddp"
    """Over several processes: "ddp" copies the weights, "fsdp" cuts them."""


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
Evaluator = Callable[[VLM | ContrastiveModel, int], Mapping[str, float]]


def train(
    model: VLM | ContrastiveModel,
    processor: Processor | Vocabulary,
    data: Data,
    run: Path,
    settings: Settings,
    *,
    objective: Objective | None = None,
    validation: Data | None = None,
    evaluator: Evaluator | None = None,
    ranks: Ranks | None = None,
    device: torch.device | str = "cpu",
    trackers: Sequence[Tracker] = (),
    progress: Progress | None = None,
) -> TrainReport:
    """Train until the steps or seconds are used up; a run folder that holds a checkpoint of this run goes on from it.

    objective: `Instruct` if not given; evaluator: called with the model and the step beside the validation loss, its figures go into the
    log; ranks: the processes that train together (this one alone, on `device`); progress: called with every line of the log.
    """
    ranks = ranks or alone(device)
    if settings.studies_per_step % ranks.world:
        raise UsageError(
            f"{settings.studies_per_step} studies a step over {ranks.world} processes", "each has to get as many as any other",
            f"--studies {-(-settings.studies_per_step // ranks.world) * ranks.world}",
        )  # fmt: skip
    if objective is None:
        objective = Instruct(
            cast(VLM, model), cast(Processor, processor),
            mask_weight=settings.mask_weight, box_weight=settings.box_weight, term_weight=settings.term_weight,
        )  # fmt: skip
    run.mkdir(parents=True, exist_ok=True)
    place = state.restore_weights(run, model)
    if ranks.first:
        about = asdict(settings) | {"processes": ranks.world, "device": ranks.device.type}
        (run / "config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        state.forget_after(run / "log.jsonl", place.step)
    listeners: list[Progress] = [tracker.log for tracker in (JsonLines(run / "log.jsonl"), *trackers)]
    listeners += [progress] if progress is not None else []
    loop = _Loop(objective, processor, data, validation, run, settings, ranks, place, evaluator)
    line: dict[str, Any] = {}
    for line in loop.steps():
        for listen in listeners if ranks.first else ():
            listen(line)
    best = place.best if math.isfinite(place.best) else None
    rate = line.get("questions_per_second", 0.0)
    return TrainReport(run, place.step, line.get("loss", math.nan), best, rate, place.seconds)


class _Loop:
    """A run under way."""

    def __init__(
        self,
        objective: Objective,
        words: Processor | Vocabulary,
        data: Data,
        validation: Data | None,
        run: Path,
        settings: Settings,
        ranks: Ranks,
        place: state.Place,
        evaluator: Evaluator | None,
    ) -> None:
        self.objective, self.words, self.validation, self.run = objective, words, validation, run
        self.settings, self.ranks, self.place, self.evaluator = settings, ranks, place, evaluator
        if settings.recompute:
            recompute(objective)
        self.flops = FlopCounter(objective)
        training_mode(objective)
        self.network = spread(objective, ranks, settings.sharding)
        self.optimiser = _optimiser(objective, settings)
        state.restore_moments(run, objective.network, self.optimiser)
        numbers = balanced(data.groups) if settings.balance and isinstance(data, StudyExamples) else range(len(data))
        self.drawer = Drawer(
            data, numbers, studies=settings.studies_per_step, questions=settings.questions_per_study,
            augment=settings.augment, seed=settings.seed, ranks=ranks,
        )  # fmt: skip
        self.began = time.perf_counter() - place.seconds

    def steps(self) -> Iterator[dict[str, Any]]:
        """Take steps until the run is done; each gives its line of the log."""
        settings, place = self.settings, self.place
        while place.step < settings.steps and not self._out_of_time():
            line = self._step()
            place.step += 1
            if self.validation is not None and (place.step % settings.evaluate_every == 0 or self._last()):
                line |= self._evaluate(self.validation)
            place.seconds = time.perf_counter() - self.began
            yield {"step": place.step, "seconds": round(place.seconds, 3)} | line
            if place.step % settings.save_every == 0 and not self._last():
                self._save()
        self._save()
        self.drawer.close()

    def _step(self) -> dict[str, Any]:
        settings = self.settings
        began = time.perf_counter()
        rate = settings.learning_rate * self._rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        studies = self.drawer.studies(self.place.step)
        waited = time.perf_counter() - began
        terms = self._gradients(studies)
        norm = self._clip()
        self.optimiser.step()
        self.objective.after_step()
        loss = sum(self.objective.weights[name] * value for name, value in terms.items())
        return {
            "loss": round(loss, 5),
            **{f"loss_{name}": round(value, 5) for name, value in terms.items()},
            "gradient_norm": round(norm, 4),
            "learning_rate": rate,
            **self._rates(studies, time.perf_counter() - began),
            "data_seconds": round(waited, 4),
        }

    def _gradients(self, studies: list[Any]) -> dict[str, float]:
        """Add up the gradients of a step's parts; return its terms, each the mean over the things of all parts and processes."""
        names, device = list(self.objective.weights), self.ranks.device
        cut = max(1, -(-len(studies) // self.settings.accumulate))
        parts = [studies[i : i + cut] for i in range(0, len(studies), cut)]
        counts = [self._counts(part) for part in parts]
        total = self.ranks.sum(torch.stack(counts).sum(dim=0))
        self.optimiser.zero_grad(set_to_none=True)
        done = torch.zeros(len(names), device=device, dtype=torch.float64)
        for number, (part, count) in enumerate(zip(parts, counts, strict=True)):
            torch.manual_seed(seed_of(self.settings.seed, self.place.step))  # the same draws for every part and process
            with later(self.network, last=number == len(parts) - 1):
                with autocast(device, self.settings.precision), self.flops.counting():
                    losses = self.network(part)
                shares = dict(zip(names, (count / total.clamp_min(1)).tolist(), strict=True))
                weighed = [self.objective.weights[name] * shares[name] * term for name, term in losses.items()]
                (torch.stack(weighed).sum() * self.ranks.world).backward()  # type: ignore[no-untyped-call]
            for i, name in enumerate(names):
                if name in losses:
                    done[i] += losses[name].detach() * shares[name]
        values = self.ranks.sum(done).tolist()
        return {name: values[i] for i, name in enumerate(names) if total[i] > 0}

    def _counts(self, studies: list[Any]) -> Tensor:
        counts = self.objective.counts(studies)
        values = [counts[name] for name in self.objective.weights]
        return torch.tensor(values, dtype=torch.float64, device=self.ranks.device)

    def _clip(self) -> float:
        highest = self.settings.clip or math.inf
        return float(whole(torch.nn.utils.clip_grad_norm_(list(trained(self.objective)), highest)))

    def _rates(self, studies: list[Any], seconds: float) -> dict[str, float]:
        """Return what was done a second by all processes, and the share of what the devices could do."""
        amounts = self.objective.amounts(studies)
        own = [amounts.questions, amounts.tokens, amounts.voxels, self.flops.take()]
        done = self.ranks.sum(torch.tensor(own, dtype=torch.float64, device=self.ranks.device)) / seconds
        questions, tokens, voxels, flops = done.tolist()
        half = autocast(self.ranks.device, self.settings.precision)
        peak = peak_flops(self.ranks.device, "bfloat16" if half._enabled else "float32") * self.ranks.world
        return {
            "questions_per_second": round(questions, 2),
            "tokens_per_second": round(tokens, 1),
            "voxels_per_second": round(voxels),
            "mfu": round(flops / peak, 4),
            "memory_gb": round(peak_memory(self.ranks.device) / 1e9, 3),
        }

    @torch.no_grad()
    def _evaluate(self, data: Data) -> dict[str, float]:
        """Return the loss over up to 32 studies of another split, the same questions every time; keep the best weights."""
        settings, world = self.settings, self.ranks.world
        numbers = range(0, len(data), max(1, len(data) // 32))
        own = self.ranks.part(numbers[: len(numbers) // world * world]) or numbers[:1]  # as many calls in every process
        size = max(1, settings.studies_per_step // settings.accumulate // world)
        self.objective.eval()
        sums = torch.zeros(2, len(self.objective.weights), dtype=torch.float64, device=self.ranks.device)
        for start in range(0, len(own), size):
            rngs = {number: np.random.default_rng([settings.seed, 7, number]) for number in own[start : start + size]}
            studies = [data.example(number, 8, rng) for number, rng in rngs.items()]
            with autocast(self.ranks.device, settings.precision):
                terms = self.network(studies)
            counts = self._counts(studies)
            values = torch.tensor([float(terms.get(name, 0.0)) for name in self.objective.weights]).to(counts)
            sums += torch.stack([values * counts, counts])
        training_mode(self.objective)
        done, counted = self.ranks.sum(sums).tolist()
        means = {name: d / c for name, d, c in zip(self.objective.weights, done, counted, strict=True) if c}
        line = {"validation_loss": round(sum(self.objective.weights[name] * value for name, value in means.items()), 5)}
        if self.evaluator is not None:
            line |= self.evaluator(self.objective.network, self.place.step)
        if line["validation_loss"] < self.place.best:
            self.place.best = line["validation_loss"]
            state.save_weights(self.run / "best", self.objective.network, self.words, self.ranks)
        return line

    def _save(self) -> None:
        state.save_run(self.run, self.objective.network, self.words, self.optimiser, self.place, self.ranks)

    def _rate(self) -> float:
        settings, done = self.settings, self.place.step / max(self.settings.steps, 1)
        if settings.seconds is not None:
            done = min(1.0, self._elapsed() / settings.seconds)
        return rate_at(done, warmup=settings.warmup, first=settings.first_rate, last=settings.last_rate)

    def _last(self) -> bool:
        return self.place.step == self.settings.steps

    def _out_of_time(self) -> bool:
        return self.settings.seconds is not None and self._elapsed() >= self.settings.seconds

    def _elapsed(self) -> float:
        """Seconds that the run has worked so far, earlier sessions counted; the same in every process."""
        elapsed = time.perf_counter() - self.began
        return self.ranks.agree(elapsed) if self.ranks.world > 1 else elapsed


def _optimiser(objective: Objective, settings: Settings) -> torch.optim.Optimizer:
    """Weight decay for matrices alone."""
    rate, decay, betas = settings.learning_rate, settings.weight_decay, settings.betas
    if settings.optimiser == "muon":
        return Muon(objective, lr=rate, weight_decay=decay, betas=betas)
    if settings.optimiser != "adamw":
        raise UsageError(f"no optimiser {settings.optimiser!r}", "there are adamw and muon")
    wide = [p for p in trained(objective) if p.ndim > 1]
    narrow = [p for p in trained(objective) if p.ndim <= 1]
    groups = [{"params": wide, "weight_decay": decay}, {"params": narrow, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, betas=betas)
