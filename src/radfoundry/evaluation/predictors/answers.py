"""Answers that somebody else made: a JSON-lines or CSV file with `sample_id` and `answer`, and `box` where one was given.

In a suite the sample id is the benchmark's own (VQA-RAD's `qid`), and a column of that name will do. A box is half-open voxels on the
canonical grid. A question without a line is missing, and wrong; two lines that differ are refused; lines about questions that are not
asked are counted in `strangers`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError
from radfoundry.geometry import Box
from radfoundry.protocols import Answer, Question
from radfoundry.records import MadeBy

__all__ = ["AnswersFile"]


class AnswersFile:
    """Looks answers up by sample id; a question without one is answered by nothing, and counted as missing."""

    looks = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"answers:{path.name}"
        self.made_by = MadeBy("answers", "2", by=path.name)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the file's answers. A control asks the same id, so it gets the same answer: that is what blind means here."""
        return [self._answer(self._rows.get(question.sample_id)) for question in questions]

    def _answer(self, row: dict[str, Any] | None) -> Answer:
        if row is None:
            return Answer("", error="no answer in the file")
        text = "" if row.get("answer") is None else str(row["answer"])
        box = row.get("box")
        if isinstance(box, str):
            try:
                box = json.loads(box) if box else None
            except ValueError:
                return Answer(text, error="impossible box: it cannot be read")
        try:
            boxes = (Box.from_flat(box),) if box else ()
        except (TypeError, ValueError) as error:
            return Answer(text, error=f"impossible box: {error}")
        return Answer(text, boxes=boxes)

    def strangers(self, asked: Collection[str]) -> list[str]:
        """Return the ids in the file that are not asked: a sign that ids are of another split or another set."""
        return sorted(set(self._rows) - set(asked))

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise UsageError(
                f"cannot read {self.path}", error.strerror or str(error), "answers:FILE names a file"
            ) from error
        try:
            rows = (
                list(csv.DictReader(text.splitlines()))
                if self.path.suffix == ".csv"
                else [json.loads(line) for line in text.splitlines() if line.strip()]
            )
            return _by_id(self.path, rows)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{self.path} is no file of answers",
                f"{type(error).__name__}: {error}",
                "one row an answer: sample_id, answer, box",
            ) from error


_IDS = ("sample_id", "qid", "question_id")


def _by_id(path: Path, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = next((str(row[name]).strip() for name in _IDS if row.get(name) not in (None, "")), None)
        if key is None:
            raise KeyError("a row has no sample_id")
        if found.setdefault(key, row) != row:
            raise UsageError(f"{path} answers {key} twice", "and not in the same way", "leave one line a question")
    return found
