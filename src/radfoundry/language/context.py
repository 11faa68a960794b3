"""What a sentence says about the findings in it: present, absent or uncertain, and since when (ConText by scope).

A sentence is cut into clauses, so that "no wall thickening, and there is a mild hernia" denies one and states the
other. Inside a clause a cue reaches forward ("no X"), backward ("X was not observed") or both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from radfoundry.language.matching import Match, read_table
from radfoundry.records import Presence

__all__ = ["Clause", "Cue", "cue_terms", "find_clauses", "is_hypothetical", "presence_of", "temporal_of"]

_ANSWER_REACH = 40
_NO = r"\s(?:none|no|nil|absent|negative|nad)(?!\s*[\w,])"
_STOP = re.compile(rf"(?:[;?!]|:(?!{_NO})|(?<!\bvs)\.)\s")
_ANSWERED_NO = re.compile(rf"[^.;,?]{{0,{_ANSWER_REACH}}}?:{_NO}")
_JOINT = re.compile(r", | and | with ")
_TEMPORAL = ("resolved", "new", "stable", "increased", "decreased")
_COMPARED = {"more": "increased", "less": "decreased"}
_UNCERTAIN_REACH = 60


class Cue(NamedTuple):
    """What a cue word does and which way it reaches: forward, backward, both or (predicates, boundaries) neither."""

    kind: str
    scope: str

    @property
    def is_verb(self) -> bool:
        return self.kind == "predicate" or (self.kind == "negation" and self.scope == "backward")


class Clause(NamedTuple):
    """A stretch of a folded sentence in which cues reach, half-open, with its cues in order, all and by their kind."""

    text: str
    start: int
    end: int
    cues: tuple[Match[Cue], ...]
    by_kind: dict[str, list[Match[Cue]]]


def cue_terms() -> Iterator[tuple[str, Cue]]:
    """The entries of the lexicon of cues."""
    return ((row["term"], Cue(row["kind"], row["scope"])) for row in read_table("context_cues.tsv"))


def find_clauses(folded: str, cues: list[Match[Cue]]) -> list[Clause]:
    """Cut a folded sentence into clauses; they touch and cover it."""
    cuts = {0, len(folded)}
    cuts.update(stop.end() - 1 for stop in _STOP.finditer(folded))
    for cue in cues:
        if cue.value.kind == "boundary" or (cue.value.kind == "fresh" and _after_joint(folded, cue)):
            cuts.add(cue.start)
    cuts.update(_between_predicates(folded, cues, cuts))
    if len(cuts) <= 2:
        return [_clause(folded, 0, len(folded), cues)]
    return [
        _clause(folded, start, end, [cue for cue in cues if start <= cue.start < end])
        for start, end in pairwise(sorted(cuts))
    ]


def _clause(folded: str, start: int, end: int, cues: list[Match[Cue]]) -> Clause:
    by_kind: dict[str, list[Match[Cue]]] = {}
    for cue in cues:
        by_kind.setdefault(cue.value.kind, []).append(cue)
    return Clause(folded, start, end, tuple(cues), by_kind)


def _after_joint(folded: str, cue: Match[Cue]) -> bool:
    before = folded[max(0, cue.start - 6) : cue.start].rstrip()
    return before.endswith((",", " and")) or folded.startswith(("and ", "with "), cue.start)


def _between_predicates(folded: str, cues: list[Match[Cue]], cuts: set[int]) -> list[int]:
    """Two verbs of one stretch: the second has its own subject, which begins at a comma, else at an `and`."""
    verbs = [cue for cue in cues if cue.value.is_verb]
    if len(verbs) < 2:
        return []
    found = []
    for first, second in pairwise(verbs):
        if second.start <= first.end + 1 or any(first.end <= cut <= second.start for cut in cuts):
            continue
        joints = list(_JOINT.finditer(folded, first.end, second.start))
        best = next((joint for joint in joints if joint[0] == ", "), joints[0] if joints else None)
        found.append(best.start() if best else first.end)
    return found


def presence_of(clause: Clause, start: int, end: int) -> Presence:
    """`absent`, `uncertain` or `present` for a finding at these characters of the folded sentence."""
    if _cued(clause, "negation", start, end) or _cued(clause, "resolved", start, end):
        return "absent"
    if ":" in clause.text and _ANSWERED_NO.match(clause.text, end):  # "pleural effusion: none"
        return "absent"
    if _questioned(clause, end) or _cued(clause, "uncertain", start, end):
        return "uncertain"
    return "present"


def is_hypothetical(clause: Clause, start: int, end: int) -> bool:
    """Whether a finding is only asked for ("evaluate for pneumonia"), not stated."""
    return _cued(clause, "hypothesis", start, end)


def temporal_of(clause: Clause, kinds: set[str], presence: str) -> str:
    """`new`, `stable`, `increased`, `decreased`, `resolved`, `past` (only earlier), or nothing.

    `kinds` are those of all cues of the sentence.
    """
    if presence == "absent":
        return "resolved" if "past" in kinds or "resolved" in clause.by_kind else ""
    for kind in _TEMPORAL:
        if kind in clause.by_kind:
            return kind
    if not kinds.isdisjoint(("past", "compared")):
        for kind, meaning in _COMPARED.items():
            if kind in clause.by_kind:
                return meaning
    return "past" if "past" in clause.by_kind else ""


def _cued(clause: Clause, kind: str, start: int, end: int) -> bool:
    cues = clause.by_kind.get(kind)
    return cues is not None and any(_reaches(clause, cue, start, end) for cue in cues)


def _reaches(clause: Clause, cue: Match[Cue], start: int, end: int) -> bool:
    if cue.value.scope == "forward":
        if start <= cue.start < end:  # "heart is not enlarged" is one term with a gap
            return True
        return cue.start < start and not _verb_and_comma_between(clause, cue.end, start)
    return cue.start >= end


def _verb_and_comma_between(clause: Clause, start: int, end: int) -> bool:
    """A negation ends with its own verb: "no mass was detected, effusion on the right"."""
    verbs = [cue.end for cue in clause.cues if cue.value.is_verb and start <= cue.start < end]
    return bool(verbs) and ", " in clause.text[verbs[0] : end]


def _questioned(clause: Clause, end: int) -> bool:
    mark = clause.text.find("?", end, end + _UNCERTAIN_REACH)
    return mark >= 0 and "(" not in clause.text[end:mark] and ", " not in clause.text[end:mark]
