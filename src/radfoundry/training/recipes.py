"""How published models were trained, to be run at any size: `recipes.toml` holds the figures, `Recipe` says what they mean."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from radfoundry.errors import UsageError
from radfoundry.training.loop import Settings

__all__ = ["RECIPES", "Recipe", "recipe"]


@dataclass(frozen=True)
class Recipe:
    """One stage of training."""

    name: str
    title: str
    family: str
    """Whose checkpoints it was published for; it runs on any model."""
    objective: str
    """"clip", "align" (text, with all but the connector frozen) or "instruct" (text, boxes and masks)."""
    samples_per_step: int
    questions_per_study: int
    learning_rate: float
    last_rate: float
    """Where the cosine ends."""
    first_rate: float = 0.0
    """Where the rise begins."""
    warmup: float = 0.0
    """Share of the steps."""
    warmup_steps: int = 0
    """The same as a number of the published steps."""
    steps: int = 0
    epochs: int = 0
    epoch_of: str = "samples"
    """"samples": an epoch asks each once; "studies": it shows each once."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    learns: tuple[str, ...] = ()
    """Parts that are not frozen (`objectives.PARTS`); all if empty."""
    tuning: str = "full"
    """Of the language model: "full", "lora" or "frozen"."""
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    tasks: tuple[str, ...] = ()
    """What is asked, as far as the corpora hold it; everything if empty."""
    mask_weight: float = 1.0
    term_weight: float = 1.0
    recompute: bool = False
    sharding: str = "ddp"
    seed: int = 0
    ours: tuple[str, ...] = ()
    """Where this is not what was published, or nothing was."""

    def steps_for(self, samples: int, studies: int) -> int:
        """Return how many steps the recipe takes on data of a size."""
        if self.steps:
            return self.steps
        each = self.samples_per_step if self.epoch_of == "samples" else self.studies_per_step
        return max(1, math.ceil(self.epochs * (samples if self.epoch_of == "samples" else studies) / each))

    @property
    def studies_per_step(self) -> int:
        """Studies whose questions make a step's samples."""
        return max(1, self.samples_per_step // self.questions_per_study)

    def settings(self, samples: int, studies: int, **other: Any) -> Settings:
        """Return the loop's settings for data of a size; `other` are settings that a person wants otherwise."""
        steps = self.steps_for(samples, studies)
        settings = Settings(
            steps=steps,
            studies_per_step=self.studies_per_step,
            questions_per_study=self.questions_per_study,
            learning_rate=self.learning_rate,
            warmup=self.warmup_steps / steps if self.warmup_steps else self.warmup,
            first_rate=self.first_rate / self.learning_rate,
            last_rate=self.last_rate / self.learning_rate,
            weight_decay=self.weight_decay,
            betas=self.betas,
            clip=self.clip,
            mask_weight=self.mask_weight,
            term_weight=self.term_weight,
            recompute=self.recompute,
            sharding=self.sharding,
            seed=self.seed,
        )
        return replace(settings, **other)


@cache
def _recipes() -> dict[str, Recipe]:
    tables = tomllib.loads(files(__package__).joinpath("recipes.toml").read_text(encoding="utf-8"))
    return {name: Recipe(name=name, **{key: _value(value) for key, value in t.items()}) for name, t in tables.items()}


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


RECIPES = tuple(_recipes())


def recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}", f"there are {', '.join(RECIPES)}", "radfoundry train OUT --recipe NAME")
    return _recipes()[name]
