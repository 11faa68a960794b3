"""Where the lines of a run's log go: JSON lines always, and whatever else is asked for by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from radfoundry.errors import UsageError

__all__ = ["JsonLines", "Tracker", "open_tracker"]


class Tracker(Protocol):
    """Anything that takes the lines of a log."""

    def log(self, line: Mapping[str, Any]) -> None:
        """Take one line: "step", and figures by name."""


class JsonLines:
    """One JSON object a line, appended and closed, so that nothing that was logged is lost."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def log(self, line: Mapping[str, Any]) -> None:
        """Append a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class TensorBoard:
    """TensorBoard's event files beside the log."""

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError("TensorBoard is not installed", str(error), "pip install tensorboard") from error
        self._writer = SummaryWriter(str(run / "tensorboard"))

    def log(self, line: Mapping[str, Any]) -> None:
        """Write every figure of a line as a scalar."""
        for name, value in line.items():
            if isinstance(value, int | float) and name != "step":
                self._writer.add_scalar(name, value, line["step"])
        self._writer.flush()


def open_tracker(name: str, run: Path) -> Tracker:
    """Return the tracker "tensorboard", or what "module:function" returns for a run folder.

    Raises:
        UsageError: there is nothing of that name.
    """
    if name == "tensorboard":
        return TensorBoard(run)
    module, _, function = name.partition(":")
    try:
        make = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"no tracker {name!r}", str(error), "--tracker tensorboard, or MODULE:FUNCTION of your own"
        ) from error
    tracker: Tracker = make(run)
    return tracker
