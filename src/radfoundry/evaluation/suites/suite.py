"""What every suite gives, and the parts they are made of: questions about pictures in files, said to be absent where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radfoundry.errors import RowError, UsageError
from radfoundry.evaluation.tasks import Item, Reference, Task
from radfoundry.geometry import Grid
from radfoundry.ids import make_id
from radfoundry.protocols import Picture, Question
from radfoundry.records import Part, Turn
from radfoundry.studies import ReadImage, read_image
from radfoundry.studies.identity import image_id_of
from radfoundry.studies.sources import ImageSource, SourceKind

__all__ = ["Suite", "VqaRow", "array_picture", "file_picture", "item_of", "read_text", "unit_grid"]

_KEPT = 512  # pictures in memory: a benchmark is opened more than once in a session


@dataclass(frozen=True)
class Suite:
    """A benchmark: what is asked, and what its own training split would teach a baseline."""

    task: Task
    training: Sequence[Item] = field(default=())


@dataclass(frozen=True)
class VqaRow:
    """A question as a benchmark's file has it. group: the name of its scores; image: its picture's name in the benchmark."""

    key: str
    question: str
    answer: str
    kind: str
    group: str
    image: str
    patient: str
    task: str = "chat"
    choices: tuple[str, ...] = ()


def item_of(suite: str, row: VqaRow, picture: Picture | None, absent: str = "") -> Item:
    """Return a row as a question about one picture, or about one that is absent."""
    pictures = (picture,) if picture is not None else ()
    shown = tuple(Part("image", ref=p.image_id) for p in pictures)
    turn = Turn("user", (*shown, Part("text", row.question)))
    question = Question(row.key, f"{suite}/{row.image}", (turn,), pictures, row.kind, row.choices, row.task)
    return Item(question, Reference(row.answer), row.patient, row.group, (row.image,), absent)


@lru_cache(_KEPT)
def file_picture(path: Path, modality: str = "", kind: SourceKind = "raster") -> Picture | None:
    """Return a picture that is read when it is looked at; None where the file is absent or cannot be read."""
    if not path.is_file():
        return None
    try:
        read = _read(ImageSource(path, kind, modality=modality))
    except RowError:
        return None
    return Picture(image_id_of(read), modality or read.modality, read.grid, partial(_pixels, path, kind, modality))


def array_picture(pixels: npt.NDArray, modality: str) -> Picture:
    """Return a picture that is in memory."""
    grid = Grid.picture((pixels.shape[0], pixels.shape[1])) if pixels.ndim == 2 else unit_grid(pixels.shape)
    return Picture(make_id("image", pixels), modality, grid, lambda: pixels)


def read_text(path: Path, mend: str) -> str:
    """Return a file's text. Raises UsageError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}", str(error), mend) from error


def _pixels(path: Path, kind: SourceKind, modality: str) -> npt.NDArray:
    return _read(ImageSource(path, kind, modality=modality)).pixels


@lru_cache(_KEPT)
def _read(source: ImageSource) -> ReadImage:
    return read_image(source)


def unit_grid(shape: tuple[int, ...]) -> Grid:
    """Return the grid of a volume whose place and size in the patient are not known."""
    spacing = tuple(float(v) for v in np.ones(3))
    return Grid(tuple(shape), spacing, (0.0, 0.0, 0.0), tuple(float(v) for v in np.eye(3).ravel()), "pixel")
