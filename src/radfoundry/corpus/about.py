"""What corpus.json says beside figures."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FORMAT_VERSION", "CorpusInfo"]

FORMAT_VERSION = 1


@dataclass(frozen=True)
class CorpusInfo:
    """What only a person knows about a corpus: its title, the licence of its sources, how to cite it, where the sources lie."""

    title: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str = ""
    source_root: str = ""
