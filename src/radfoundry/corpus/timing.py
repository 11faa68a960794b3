"""How long a step may work on a source: a slow one is refused, and one that hangs deep inside a library takes its worker with it."""

from __future__ import annotations

import faulthandler
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from radfoundry.errors import LimitError

__all__ = ["end_when_stuck", "time_limit"]

_SECOND_CHANCE = 2.0
"""A worker that is still busy after so many times its limit does not listen to signals any more."""


class _Ending:
    on = False


def end_when_stuck() -> None:
    """Let this process end when a step no longer answers: for workers, whose death the engine survives."""
    _Ending.on = True


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raise LimitError inside the block once `seconds` have passed; outside of a process's main thread nothing is limited.

    The signal comes between two lines of Python. In a worker the process ends where none comes for as long again; the engine then
    looks for the source that did it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise LimitError(
            f"{what} took too long",
            f"more than {seconds:g} s for one source",
            "look at the source, or give its pipeline more `source_seconds`",
            code="too-slow",
        )

    started, handler = time.monotonic(), signal.signal(signal.SIGALRM, over)
    others_delay, others_interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    if _Ending.on:
        faulthandler.dump_traceback_later(seconds * _SECOND_CHANCE, exit=True)
    try:
        yield
    finally:
        if _Ending.on:
            faulthandler.cancel_dump_traceback_later()
        left = max(others_delay - (time.monotonic() - started), 1e-3) if others_delay else 0.0
        signal.setitimer(signal.ITIMER_REAL, left, others_interval)
        signal.signal(signal.SIGALRM, handler)
