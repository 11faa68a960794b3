"""What a sentence says about the findings in it: present, absent or uncertain, and since when (ConText by scope).

A sentence is cut into clauses, so that "no wall thickening, and there is a mild hernia" denies one and states the
other. Inside a clause a cue reaches forward ("no X"), backward ("X was not observed") or both ways.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from radfoundry.language.matching import Lexicon, Match, read_table
from radfoundry.records import Presence

__all__ = ["Clause", "Cue", "find_clauses", "is_hypothetical", "presence_of", "temporal_of"]

_STOP = re.compile(r"[;:](?=\s)|[.?!](?=\s)")
_JOINT = re.compile(r", | and | with ")
_PREDICATES = ("predicate", "negation")
_TEMPORAL = ("resolved", "new", "stable", "increased", "decreased")
_COMPARED = {"more": "increased", "less": "decreased"}
_UNCERTAIN_REACH = 60


class Cue(NamedTuple):
    """What a cue word does and which way it reaches: forward, backward, both or (predicates, boundaries) neither."""

    kind: str
    scope: str


class Clause(NamedTuple):
    """A stretch of a folded sentence in which cues reach, half-open, with its cues in order."""

    text: str
    start: int
    end: int
    cues: tuple[Match[Cue], ...]

    def of(self, *kinds: str) -> list[Match[Cue]]:
        return [cue for cue in self.cues if cue.value.kind in kinds]


@cache
def _cues() -> Lexicon[Cue]:
    return Lexicon((row["term"], Cue(row["kind"], row["scope"])) for row in read_table("context_cues.tsv"))


def find_clauses(folded: str) -> list[Clause]:
    """Cut a folded sentence into clauses; they touch and cover it."""
    cues = _cues().find(folded)
    cuts = {0, len(folded)}
    cuts.update(stop.end() for stop in _STOP.finditer(folded))
    cuts.update(cue.start for cue in cues if cue.value.kind == "boundary")
    cuts.update(cue.start for cue in cues if cue.value.kind == "fresh" and _after_joint(folded, cue))
    cuts.update(_between_predicates(folded, cues, cuts))
    ordered = sorted(cuts)
    return [
        Clause(folded, start, end, tuple(cue for cue in cues if start <= cue.start < end))
        for start, end in pairwise(ordered)
    ]


def _after_joint(folded: str, cue: Match[Cue]) -> bool:
    before = folded[max(0, cue.start - 6) : cue.start].rstrip()
    return before.endswith((",", " and")) or folded.startswith(("and ", "with "), cue.start)


def _between_predicates(folded: str, cues: list[Match[Cue]], cuts: set[int]) -> list[int]:
    """Two verbs of one stretch: the second has its own subject, which begins at a comma, else at an `and`."""
    verbs = [cue for cue in cues if _is_verb(cue)]
    found = []
    for first, second in pairwise(verbs):
        if second.start <= first.end + 1 or any(first.end <= cut <= second.start for cut in cuts):
            continue
        joints = list(_JOINT.finditer(folded, first.end, second.start))
        best = next((joint for joint in joints if joint[0] == ", "), joints[0] if joints else None)
        found.append(best.start() if best else first.end)
    return found


def _is_verb(cue: Match[Cue]) -> bool:
    return cue.value.kind == "predicate" or (cue.value.kind == "negation" and cue.value.scope == "backward")


def presence_of(clause: Clause, start: int, end: int) -> Presence:
    """`absent`, `uncertain` or `present` for a finding at these characters of the folded sentence."""
    if any(_reaches(clause, cue, start, end) for cue in clause.of("negation", "resolved")):
        return "absent"
    if _questioned(clause, end) or any(_reaches(clause, cue, start, end) for cue in clause.of("uncertain")):
        return "uncertain"
    return "present"


def is_hypothetical(clause: Clause, start: int, end: int) -> bool:
    """Whether a finding is only asked for ("evaluate for pneumonia"), not stated."""
    return any(_reaches(clause, cue, start, end) for cue in clause.of("hypothesis"))


def temporal_of(clause: Clause, sentence: list[Clause], presence: str) -> str:
    """`new`, `stable`, `increased`, `decreased`, `resolved`, `past` (only earlier), or nothing."""
    past = any(part.of("past") for part in sentence)
    if presence == "absent":
        return "resolved" if past or clause.of("resolved") else ""
    for kind in _TEMPORAL:
        if clause.of(kind):
            return kind
    if past or any(part.of("compared") for part in sentence):
        for kind, meaning in _COMPARED.items():
            if clause.of(kind):
                return meaning
    return "past" if clause.of("past") else ""


def _reaches(clause: Clause, cue: Match[Cue], start: int, end: int) -> bool:
    if cue.value.scope == "forward":
        if start <= cue.start < end:  # "heart is not enlarged" is one term with a gap
            return True
        return cue.end <= start and not _verb_and_comma_between(clause, cue.end, start)
    return cue.start >= end


def _verb_and_comma_between(clause: Clause, start: int, end: int) -> bool:
    """A negation ends with its own verb: "no mass was detected, effusion on the right"."""
    verbs = [cue.end for cue in clause.cues if _is_verb(cue) and start <= cue.start < end]
    return bool(verbs) and ", " in clause.text[verbs[0] : end]


def _questioned(clause: Clause, end: int) -> bool:
    mark = clause.text.find("?", end, end + _UNCERTAIN_REACH)
    return mark >= 0 and "(" not in clause.text[end:mark] and ", " not in clause.text[end:mark]
