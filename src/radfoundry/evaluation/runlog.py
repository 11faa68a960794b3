"""The run log: every question, answer, reading and count of a run, so that scores need no model.

A run folder holds `run.json` (what ran) and `answers.jsonl` (one object an answer, appended and flushed as answers come; a line cut
short by a crash is dropped when the log is opened again). Of two lines about one question and condition the later one counts: the
first was an error that has been asked again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError

__all__ = ["ASKED", "Record", "RunLog"]

ASKED = "asked"
"""The condition of a question that is put as it is."""


@dataclass(frozen=True)
class Record:
    """One answer under one condition.

    condition: "asked", or the blind control's name; prompt: the turns; sent: the words that went to the model, where it got others than
    the turns; parsed, score: what was read out of the answer, and its own first score; question_hash: of prompt, choices and pictures;
    overlap: voxels of (predicted, true, shared); surface: distances of the masks by score name; boxes are half-open on the canonical
    grid, whose shape and modality are those of the first picture; tokens: of prompt and answer, as the endpoint counts them.
    """

    sample_id: str
    condition: str
    patient: str
    task: str
    answer_kind: str
    prompt: list[dict[str, str]]
    choices: list[str]
    reference: str
    answer: str
    confidence: float | None = None
    reference_boxes: list[list[int]] = field(default_factory=list)
    boxes: list[list[int]] = field(default_factory=list)
    overlap: list[int] | None = None
    seconds: float = 0.0
    error: str = ""
    group: str = ""
    modality: str = ""
    shape: list[int] = field(default_factory=list)
    question_hash: str = ""
    sent: str = ""
    parsed: str | None = None
    score: float | None = None
    surface: dict[str, float | None] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)
    picture: str = ""


class RunLog:
    """A run's folder, opened to go on where it stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._answers = folder / "answers.jsonl"

    def begin(self, about: dict[str, Any]) -> None:
        """Write `run.json`, or check that the folder's run is the same one.

        Raises UsageError where the folder holds another run.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "run.json"
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            different = sorted(k for k in about if before.get(k) != about[k])
            if different:
                raise UsageError(
                    f"{self.folder} holds another run",
                    f"its {', '.join(different)} differ",
                    "name another folder with --out",
                )
            return
        aside = path.with_suffix(".part")
        aside.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(aside, path)

    @property
    def about(self) -> dict[str, Any]:
        """What ran. Raises UsageError where the folder holds no run."""
        try:
            about: dict[str, Any] = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.folder} holds no run", "there is no run.json in it", "radfoundry bench --out"
            ) from error
        return about

    def records(self) -> list[Record]:
        """Return the last record of each question and condition, in the order in which they were first asked."""
        return list({(record.sample_id, record.condition): record for record in self._lines()}.values())

    def _lines(self) -> Iterator[Record]:
        if not self._answers.exists():
            return
        with self._answers.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield Record(**json.loads(line))

    def append(self, records: list[Record]) -> None:
        """Add answers and see them to the disk."""
        self._cut_broken_line()
        # a lone surrogate in an answer becomes its JSON escape
        with self._answers.open("a", encoding="utf-8", errors="backslashreplace") as out:
            for record in records:
                out.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def _cut_broken_line(self) -> None:
        if not self._answers.exists():
            return
        with self._answers.open("rb+") as raw:
            size = raw.seek(0, os.SEEK_END)
            if size == 0:
                return
            raw.seek(-1, os.SEEK_END)
            if raw.read(1) == b"\n":
                return
            raw.seek(0)
            raw.truncate(raw.read().rfind(b"\n") + 1)
