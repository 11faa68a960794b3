"""The `compat` mapping: RadGenome's ten head regions with the habits of its published links.

An ordered list of rules over cue words (`compat_cues.tsv`, `compat_rules.tsv`): one region mostly wins over the others,
subpleural lesions go to the pleura and the thoracic aorta to the abdomen as well, as in the published tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from radfoundry.grounding.mention import RegionMention
from radfoundry.language.matching import Lexicon, Match, fold, read_table

__all__ = ["CompatMapping", "find_cues"]

CARRY = "carry"
CONFIDENCE = 0.9

Cues = tuple[str, ...]


class _Rule(NamedTuple):
    name: str
    needs: tuple[frozenset[str], ...]
    unless: frozenset[str]
    heads: tuple[str, ...]

    def holds(self, cues: set[str]) -> bool:
        return all(not need.isdisjoint(cues) for need in self.needs) and self.unless.isdisjoint(cues)


class CompatMapping:
    """Stateless between reports; `folders` may hold a user's own `compat_cues.tsv`."""

    def __init__(self, folders: tuple[Path, ...] = ()) -> None:
        self._rules = _rules()
        self._cues = _cues(folders)

    def link(self, sentences: Sequence[str]) -> list[tuple[RegionMention, ...]]:
        """Head regions a sentence, each with the rule that gave it."""
        linked: list[tuple[RegionMention, ...]] = []
        before: tuple[RegionMention, ...] = ()
        for sentence in sentences:
            before = self._link_one(sentence, before)
            linked.append(before)
        return linked

    def _link_one(self, sentence: str, before: tuple[RegionMention, ...]) -> tuple[RegionMention, ...]:
        found = self._cues.find_all(fold(sentence))
        cues = {cue for match in found for cue in match.value} | {f"after {mention.name}" for mention in before}
        rule = next((rule for rule in self._rules if rule.holds(cues)), None)
        if rule is None:
            return ()
        if rule.heads == (CARRY,):
            return tuple(mention._replace(rule=rule.name, start=0, end=0) for mention in before)
        terms = _deciding(rule, found)
        words = tuple(dict.fromkeys(sentence[term.start : term.end] for term in terms))
        start, end = (terms[0].start, terms[0].end) if terms else (0, 0)
        return tuple(RegionMention(head, "none", words, rule.name, CONFIDENCE, start, end) for head in rule.heads)


def find_cues(sentence: str) -> frozenset[str]:
    """The cues of a sentence that the rules look at."""
    return frozenset(cue for match in _cues(()).find_all(fold(sentence)) for cue in match.value)


def _deciding(rule: _Rule, found: list[Match[Cues]]) -> list[Match[Cues]]:
    needed = frozenset[str]().union(*rule.needs)
    return sorted((match for match in found if not needed.isdisjoint(match.value)), key=lambda match: match.start)


@cache
def _rules() -> tuple[_Rule, ...]:
    return tuple(
        _Rule(
            row["rule"],
            tuple(frozenset(need.split("|")) for need in row["needs"].split(",")),
            frozenset(row["unless"].split("|")) - {""},
            tuple(filter(None, row["heads"].split(";"))),
        )
        for row in read_table("compat_rules.tsv")
    )


@cache
def _cues(folders: tuple[Path, ...]) -> Lexicon[Cues]:
    rows = {row["term"]: row["cue"] for row in read_table("compat_cues.tsv")}
    for folder in folders:
        rows |= {row["term"]: row["cue"] for row in read_table(folder / "compat_cues.tsv")}
    return Lexicon((term, tuple(cue.split(";"))) for term, cue in rows.items())
