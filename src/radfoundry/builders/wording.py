"""Question and answer wordings from `wording.tsv`, chosen by the id of what is asked about, so that a rebuild asks the same."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

__all__ = ["Wording", "choose", "wordings"]


@dataclass(frozen=True)
class Wording:
    """A question and its answer with `$name` places; `held_out` wordings are asked in the test split alone."""

    task: str
    form: str
    question: str
    answer: str
    held_out: bool

    def ask(self, values: Mapping[str, str]) -> tuple[str, str]:
        """Return question and answer; values are inserted as they are, once. Raises KeyError for a place without a value."""
        return _capital(Template(self.question).substitute(values)), _capital(Template(self.answer).substitute(values))


@cache
def wordings() -> tuple[Wording, ...]:
    """Return every wording, in file order."""
    text = files("radfoundry.builders").joinpath("wording.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(Wording(r["task"], r["form"], r["question"], r["answer"], r["held_out"] == "1") for r in rows)


def choose(task: str, form: str, key: str, split: str) -> Wording:
    """Return the wording for one sample: by hash of `key`, held-out ones for the test split alone.

    Raises KeyError where the file has none for this task and form.
    """
    fitting = [w for w in wordings() if w.task == task and w.form == form]
    mine = [w for w in fitting if w.held_out == (split == "test")] or fitting
    if not mine:
        raise KeyError(f"no wording for {task}/{form}")
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
    return mine[number % len(mine)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
