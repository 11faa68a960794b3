"""Sentences find their regions: the linker made of rules, behind the protocol that every linker follows.

A linker sees the sentences of one report in order, since "It extends to the fissure" needs the sentence before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from radfoundry.errors import UsageError
from radfoundry.grounding.clean_mapping import CleanMapping
from radfoundry.grounding.compat_mapping import CompatMapping
from radfoundry.grounding.mention import Linker, RegionMention

__all__ = ["Linker", "Mapping", "RegionMention", "RuleLinker"]

Mapping = Literal["clean", "compat"]

_MAPPINGS: dict[str, Callable[[tuple[Path, ...]], Linker]] = {"clean": CleanMapping, "compat": CompatMapping}


class RuleLinker:
    """Links by lexicon and rules alone; deterministic, without state between reports.

    `clean` names the finest region that anatomy gives, one mention a side. `compat` names RadGenome's ten head regions
    with the habits of its published links (thoracic aorta in the abdomen too, subpleural lesions in the pleura).
    `lexicon_dirs` are folders with a user's own `region_terms.tsv` (clean) or `compat_cues.tsv` (compat), whose terms
    win over ours.

    Raises: `UsageError` for another mapping.
    """

    def __init__(self, mapping: Mapping = "clean", lexicon_dirs: Sequence[Path | str] = ()) -> None:
        if mapping not in _MAPPINGS:
            raise UsageError(
                f"no mapping {mapping!r}", "a linker maps to anatomy or to RadGenome's heads", "use clean or compat"
            )
        self.mapping, self.lexicon_dirs = mapping, tuple(Path(folder) for folder in lexicon_dirs)
        self._mapping = _MAPPINGS[mapping](self.lexicon_dirs)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process by settings; the compiled lexicon is made there."""
        return RuleLinker, (self.mapping, self.lexicon_dirs)

    def link(self, sentences: Sequence[str]) -> list[tuple[RegionMention, ...]]:
        """One tuple of mentions for each sentence of one report, in order."""
        return self._mapping.link(sentences)
