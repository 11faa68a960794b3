"""How an export gets on: (done, total) after each study or sample, for whoever draws it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Tell", "silent"]

Tell = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Tell nobody."""
