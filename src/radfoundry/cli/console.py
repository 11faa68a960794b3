"""What a person sees while a command works and when it ends: progress with rate and time left, tables, the next command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["Meter", "clock", "meter", "say", "say_json", "say_next", "say_table"]


def say(text: str) -> None:
    """Print a line."""
    print(text, flush=True)


def say_json(value: Any) -> None:
    """Print one JSON object as a line."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def say_next(*commands: str) -> None:
    """Print what to try next."""
    say("\nnext:")
    for command in commands:
        say(f"  {command}")


def say_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns of numbers stand to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold")
    for place, name in enumerate(columns):
        numbers = all(isinstance(row[place], int | float) for row in rows) and bool(rows)
        table.add_column(name, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))  # Text: what comes from a report is no markup
    Console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def clock(seconds: float) -> str:
    """Return 75 as "1:15"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Meter:
    """A progress line: `update` moves it. On a terminal it is drawn in place, elsewhere a line every ten seconds."""

    def __init__(self, title: str) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._title, self._live = title, sys.stderr.isatty()
        self._last = 0.0
        from rich.console import Console

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=not self._live,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None, note="")
        self._bar.start()

    def update(self, done: float, total: float, note: str = "", seconds_left: float | None = None) -> None:
        """Show how far the work is."""
        self._bar.update(self._task, completed=done, total=total, note=note)
        if not self._live:
            self._print(done, total, note, seconds_left)

    def _print(self, done: float, total: float, note: str, seconds_left: float | None) -> None:
        import time

        now = time.monotonic()
        if done < total and now - self._last < 10:
            return
        self._last = now
        left = f", {clock(seconds_left)} left" if seconds_left is not None and done < total else ""
        print(f"{self._title}: {done:g} of {total:g}{left} {note}".rstrip(), file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Take the line away."""
        self._bar.stop()


@contextmanager
def meter(title: str) -> Iterator[Meter]:
    """Show a progress line while the block runs."""
    shown = Meter(title)
    try:
        yield shown
    finally:
        shown.stop()
