"""The run log: every question, answer, reading and count of a run, so that scores need no model.

A run folder holds `run.json` (what ran) and `answers.jsonl` (one object an answer, appended and flushed as answers come; a line cut
short by a crash is dropped when the log is opened again).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError

__all__ = ["Record", "RunLog"]


@dataclass(frozen=True)
class Record:
    """One answer under one condition.

    condition: "asked", or the blind control's name; overlap: voxels of (predicted, true, shared); boxes are on the canonical grid.
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

    def records(self) -> Iterator[Record]:
        """Return every whole line of the log, in order."""
        if not self._answers.exists():
            return
        with self._answers.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield Record(**json.loads(line))

    def append(self, records: list[Record]) -> None:
        """Add answers and see them to the disk."""
        self._cut_broken_line()
        with self._answers.open("a", encoding="utf-8") as out:
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
