"""Options of a choice: the right one among wrong ones, drawn by hash, so that a rebuild offers the same in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

__all__ = ["WRONG_OPTIONS", "offered", "ranked"]

WRONG_OPTIONS = 3


def ranked(key: str, things: Iterable[str]) -> list[str]:
    """Return things, each once, in an order that follows from `key` and their names alone."""
    return sorted(set(things), key=lambda thing: hashlib.blake2b(f"{key}|{thing}".encode()).digest())


def offered(key: str, answer: str, wrong: Sequence[str], *, likely: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the answer and up to `WRONG_OPTIONS` wrong options, capitalised, the answer at a place that `key` decides.

    likely: wrong options that are taken first, in order, because they are easily confused with the answer.
    """
    first = [w for w in likely if w in wrong]
    drawn = [*first, *(w for w in ranked(key, wrong) if w not in first)][:WRONG_OPTIONS]
    return tuple(word[:1].upper() + word[1:] for word in ranked(f"{key}|order", [answer, *drawn]))
