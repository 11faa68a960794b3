"""What corpus.json says beside figures; and the command that built it, which is no part of the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from radfoundry.corpus import disk

__all__ = ["FORMAT_VERSION", "CorpusInfo", "keep_command", "read_command"]

FORMAT_VERSION = 1


@dataclass(frozen=True)
class CorpusInfo:
    """What only a person knows about a corpus: its title, the licence of its sources, how to cite it, where the sources lie."""

    title: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str = ""
    source_root: str = ""


_COMMAND = "built_by.txt"


def keep_command(out: Path, command: str) -> None:
    """Write down the folder and the command line of a build, so that `replay` finds the same sources."""
    if command:
        disk.put(out / _COMMAND, f"{Path.cwd()}\n{command}\n".encode())


def read_command(out: Path) -> tuple[Path, str]:
    """Return the folder and the command line of the last build; the command is "" where none is known."""
    path = out / _COMMAND
    folder, _, command = (path.read_text(encoding="utf-8") if path.exists() else "").partition("\n")
    return Path(folder), command.strip()
