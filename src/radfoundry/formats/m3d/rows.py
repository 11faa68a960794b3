"""What M3D's lists say, row by row; arrays are read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.formats.m3d.arrays import is_empty_class
from radfoundry.formats.m3d.texts import LETTERS, NO_CHOICE, asked
from radfoundry.records import Split

__all__ = ["CaptionRow", "M3DData", "MaskRow", "QuestionRow", "ReferringRow", "load_array"]


@dataclass(frozen=True)
class CaptionRow:
    """M3D-Cap: an image with the file of its text."""

    image: Path
    text_file: Path
    split: str

    @property
    def text(self) -> str:
        """The report."""
        return self.text_file.read_text(encoding="utf-8")


@dataclass(frozen=True)
class QuestionRow:
    """M3D-VQA: `kind` 1 plane, 2 phase, 3 organ, 4 abnormality, 5 location; `choices` are four, "NA" where there is none.

    letter: of the right choice, "NA" for a question that is asked openly alone; yes_no: from a yes/no file.
    """

    image: Path
    text: str
    kind: int
    question: str
    choices: tuple[str, ...]
    answer: str
    letter: str
    split: Split
    yes_no: bool = False

    @property
    def closed(self) -> tuple[str, str]:
        """Question and answer with options: one file serves both ways of asking."""
        return asked(self.question, self.choices), f"{self.letter}. {self.answer}"

    @property
    def has_choices(self) -> bool:
        """Whether it can be asked with options."""
        return self.letter in set(LETTERS) and any(c != NO_CHOICE for c in self.choices)


@dataclass(frozen=True)
class MaskRow:
    """M3D-Seg: one class of one case. channel: from the file's name, 0-based into `label`'s list; region: our name for it."""

    code: str
    image: Path
    mask: Path
    channel: int
    label: str
    region: str
    split: Split

    @property
    def is_negative(self) -> bool:
        """Whether the case does not have this class."""
        return is_empty_class(load_array(self.mask))


@dataclass(frozen=True)
class ReferringRow:
    """M3D-RefSeg: a question whose answer is the voxels of one value of a mask. kind: 0 description, 1 reasoning."""

    image: Path
    mask: Path
    mask_id: int
    kind: int
    question: str
    answer: str
    split: Split

    def target(self) -> npt.NDArray[np.int8]:
        """Return the sample's mask, `[1, z, x, y]`."""
        return np.asarray(load_array(self.mask) == self.mask_id, dtype=np.int8)


@dataclass(frozen=True)
class M3DData:
    """A folder in M3D's layout; skipped: what was named and is not there, in words; terms: a region's definitions by label."""

    captions: tuple[CaptionRow, ...] = ()
    questions: tuple[QuestionRow, ...] = ()
    masks: tuple[MaskRow, ...] = ()
    referring: tuple[ReferringRow, ...] = ()
    terms: dict[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def captions_of(self, split: str) -> tuple[CaptionRow, ...]:
        """Return the captions of one of the list's own splits ("hard_test" as well). Raises UsageError naming those there are."""
        found = tuple(row for row in self.captions if row.split == split)
        if not found:
            known = ", ".join(sorted({row.split for row in self.captions})) or "none"
            raise UsageError(f"no captions in the split {split!r}", f"M3D_Cap.json has {known}", "name one of these")
        return found


def load_array(path: Path) -> npt.NDArray[Any]:
    """Return a stored array, never a pickle. Raises UnreadableError where there is none."""
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableError(f"{path.name} is no array", str(error), "prepare the case again") from error
