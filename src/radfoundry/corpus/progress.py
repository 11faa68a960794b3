"""How a build is getting on: figures for whoever draws them. The engine itself is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from radfoundry.corpus.wave import Receipt

__all__ = ["Pace", "PaceKeeper", "Progress", "StepPace"]


@dataclass(frozen=True)
class StepPace:
    """One step so far: rows worked on and the seconds that all workers together spent on them."""

    name: str
    rows: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows a second of one worker's time; 0 before the first wave."""
        return self.rows / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Pace:
    """Where the build is. `skipped` rows were done before this run; `seconds` is the wall time of this run."""

    total: int
    skipped: int
    done: int
    rejected: int
    seconds: float
    workers: int
    steps: tuple[StepPace, ...]

    @property
    def left(self) -> int:
        """Rows still to do."""
        return self.total - self.skipped - self.done

    @property
    def rows_per_second(self) -> float:
        """Rows a second of wall time in this run."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Wall seconds to the end at this run's rate; None before the first wave."""
        return self.left / self.rows_per_second if self.done else None

    def step_seconds_left(self, step: StepPace) -> float | None:
        """Wall seconds that a step will still take, shared by all workers; None before the first wave."""
        return self.left * step.seconds / step.rows / self.workers if step.rows else None


Progress = Callable[[Pace], None]


class PaceKeeper:
    """Adds receipts up to a Pace."""

    def __init__(self, total: int, skipped: int, steps: tuple[str, ...]) -> None:
        self._total, self._skipped = total, skipped
        self._done = self._rejected = 0
        self._seconds = dict.fromkeys(steps, 0.0)

    def add(self, receipt: Receipt) -> None:
        """Take in one finished wave."""
        self._done += receipt.sources
        self._rejected += receipt.rows.get("rejected", 0)
        for name, seconds in receipt.step_seconds.items():
            self._seconds[name] += seconds

    def pace(self, seconds: float, workers: int = 1) -> Pace:
        """Return the state after `seconds` of wall time."""
        steps = tuple(StepPace(name, self._done, spent) for name, spent in self._seconds.items())
        return Pace(self._total, self._skipped, self._done, self._rejected, seconds, workers, steps)
