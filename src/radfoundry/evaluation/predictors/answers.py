"""Answers that somebody else made: a JSON-lines or CSV file with `sample_id` and `answer`, and `box` where one was given."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
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

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"answers:{path.name}"
        self.made_by = MadeBy("answers", "1", by=path.name)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the file's answers. A control asks the same id, so it gets the same answer: that is what blind means here."""
        return [self._answer(self._rows.get(question.sample_id)) for question in questions]

    def _answer(self, row: dict[str, Any] | None) -> Answer:
        if row is None:
            return Answer("", error="no answer in the file")
        box = row.get("box")
        if isinstance(box, str):
            box = json.loads(box) if box else None
        return Answer(str(row.get("answer") or ""), boxes=(Box.from_flat(box),) if box else ())

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
            return {row["sample_id"]: row for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{self.path} is no file of answers",
                f"{type(error).__name__}: {error}",
                "one row an answer: sample_id, answer, box",
            ) from error
