"""Run a user's command: an argument list and no shell, in a folder of its own, for a bounded time, its descendants ended with it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from radfoundry.errors import LimitError, RowError, UnreadableError

__all__ = ["run_command"]

# what of a program's last words goes into a message
_TAIL_BYTES, _TAIL_CHARACTERS = 4096, 300


def run_command(command: Sequence[str], folder: Path, seconds: float, name: str) -> None:
    """Run a command in `folder` until it ends well.

    What it prints goes into files there, so that no amount of it can block or fill memory. Raises RowError (expert-missing) where there
    is no such program, UnreadableError (expert-failed) where it fails, LimitError (expert-timeout) where it takes longer than `seconds`.
    """
    with (folder / "stdout.log").open("wb") as out, (folder / "stderr.log").open("wb") as err:
        try:
            process = subprocess.Popen(
                list(command), cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except OSError as error:
            raise RowError(
                f"{name} cannot be started", f"{command[0]!r}: {error.strerror}", "install it, or give its path in the template",
                code="expert-missing",
            ) from error  # fmt: skip
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise LimitError(
                f"{name} did not end", f"it ran for more than {seconds:g} s", "raise `seconds` in its template",
                code="expert-timeout",
            ) from error  # fmt: skip
        finally:
            _end(process)
    if status != 0:
        why = f"exit status {status}: {last_words(folder / 'stderr.log') or 'it said nothing'}"
        raise UnreadableError(f"{name} failed", why, "run its command by hand on one image", code="expert-failed")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and whatever it has started, which lives in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_words(path: Path) -> str:
    """Return the end of what a program printed, as one line of plain characters."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.split())[-_TAIL_CHARACTERS:]
