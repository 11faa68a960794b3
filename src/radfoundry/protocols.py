"""The two seams that everything plugs into: a `Step` fills a corpus, a `Predictor` answers questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from radfoundry.errors import RowError
from radfoundry.geometry import Box, Grid
from radfoundry.ids import settings_hash
from radfoundry.records import MadeBy, Rejected, Turn

__all__ = ["Answer", "Batch", "Needs", "Picture", "Predictor", "Question", "Step", "signature"]

Needs = Literal["cpu", "gpu", "remote"]


@dataclass
class Batch:
    """The rows of one wave on their way through the steps.

    rows: table -> rows, "sources" being the input; arrays: pixels by image id and label maps by (image id, label set), alive only
    inside the wave; files: path below the corpus folder -> bytes, written with the wave.
    """

    rows: dict[str, list[Any]] = field(default_factory=dict)
    arrays: dict[Any, npt.NDArray] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def table(self, name: str) -> list[Any]:
        """Return the rows of a table, an empty list where there are none."""
        return self.rows.get(name, [])

    def add(self, name: str, *new: Any) -> None:
        """Append rows to a table."""
        self.rows.setdefault(name, []).extend(new)

    def reject(self, key: str, step: str, error: RowError) -> None:
        """Write down what did not go in, and why."""
        self.add(
            "rejected", Rejected(key, step, type(error).__name__, error.code, f"{error.what}: {error.why}", error.mend)
        )

    def merge(self, other: Batch) -> None:
        """Take over the rows, arrays and files of another batch."""
        for name, rows in other.rows.items():
            self.add(name, *rows)
        self.arrays.update(other.arrays)
        self.files.update(other.files)


@runtime_checkable
class Step(Protocol):
    """One stage of a corpus builder.

    `run` gets everything that earlier steps made of a wave and returns only what it adds. It raises a RowError for nothing but a
    wave of one row; in a larger wave it writes `rejected` rows and goes on.
    """

    @property
    def name(self) -> str:
        """What the step is called in manifests and in `rejected`."""
        ...

    @property
    def version(self) -> str:
        """Changes when the same rows would give other output."""
        ...

    @property
    def needs(self) -> Needs:
        """What a worker must have."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Tables that the step looks at."""
        ...

    @property
    def fills(self) -> tuple[str, ...]:
        """Tables that it adds to."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the output depends on besides the rows: plain values only."""
        ...

    def run(self, batch: Batch) -> Batch:
        """Return the rows, arrays and files that this step adds."""
        ...


def signature(step: Step, by: str) -> MadeBy:
    """Return what a step writes into `made_by` of its rows; `by` is the model or rule."""
    return MadeBy(step.name, step.version, settings_hash(dict(step.settings)), by)


@dataclass(frozen=True)
class Picture:
    """An image as a predictor gets it: pixels on demand, `[z, y, x]` or `[y, x]`, on the canonical `grid`."""

    image_id: str
    modality: str
    grid: Grid
    load: Callable[[], npt.NDArray]


@dataclass(frozen=True)
class Question:
    """What a predictor is asked: the turns before the answer, the pictures in the order in which the turns name them."""

    sample_id: str
    study_id: str
    turns: tuple[Turn, ...]
    pictures: tuple[Picture, ...]
    answer_kind: str
    choices: tuple[str, ...] = ()
    task: str = ""
    regions: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back: words, and boxes and a mask on the canonical grid of the question's first picture."""

    text: str
    confidence: float | None = None
    boxes: tuple[Box, ...] = ()
    mask: npt.NDArray[np.bool_] | None = None
    seconds: float = 0.0
    error: str = ""


@runtime_checkable
class Predictor(Protocol):
    """Anything that answers: local weights, an endpoint, a file of answers, the majority."""

    @property
    def name(self) -> str:
        """What the predictor is called in run logs and tables."""
        ...

    @property
    def made_by(self) -> MadeBy:
        """What stands behind an answer."""
        ...

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Return one answer a question, in order; a failure is an Answer with `error`, never a gap."""
        ...
