"""What is in a corpus twice, and what follows: twins are left out, and what looks alike never straddles splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from radfoundry.corpus.fingerprints import similar_texts
from radfoundry.records import Rejected

__all__ = ["Decisions", "decide", "groups_of"]

# Shorter reports are the phrases that everybody writes ("No acute disease."): alike, but nobody's copy.
_FEWEST_WORDS = 40
_LEAST_JACCARD = 0.9


@dataclass(frozen=True)
class Decisions:
    """What closing a corpus decided. twins: study left out -> the study whose images and report it repeats; moved: studies of
    validation and test that now are in train, because one in train, or in the other, looks like them."""

    twins: Mapping[str, str]
    moved: tuple[str, ...]
    same_image_groups: int
    same_text_groups: int

    @property
    def rejected(self) -> list[Rejected]:
        """The rows for the twins."""
        return [
            Rejected(
                twin, "duplicates", "MismatchError", "duplicate-study",
                f"its images and its report are those of {kept}", "nothing is lost; remove one of the two from the sources",
            )
            for twin, kept in sorted(self.twins.items())
        ]  # fmt: skip


def decide(studies: pa.Table, images: pa.Table, reports: pa.Table) -> Decisions:
    """Return what to leave out and what to move.

    studies: study_id, split; images: image_id, study_id; reports: report_id, study_id, text.
    """
    image_of = _by_study(images, "image_id")
    report_of = _by_study(reports, "report_id")
    twins = _twins(image_of, report_of)
    same_images = [g for g in _sharing(image_of) if len(g) > 1]
    same_texts = groups_of(_alike_texts(reports))
    split = dict(zip(studies["study_id"].to_pylist(), studies["split"].to_pylist(), strict=True))
    kept = [[s for s in group if s not in twins and s in split] for group in [*same_images, *same_texts]]
    straddling = [group for group in kept if len({split[study] for study in group}) > 1]
    moved = {study for group in straddling for study in group if split[study] != "train"}
    return Decisions(twins, tuple(sorted(moved)), len(same_images), len(same_texts))


def _by_study(table: pa.Table, column: str) -> dict[str, set[str]]:
    things: dict[str, set[str]] = defaultdict(set)
    for study, thing in zip(table["study_id"].to_pylist(), table[column].to_pylist(), strict=True):
        things[study].add(thing)
    return things


def _twins(image_of: Mapping[str, set[str]], report_of: Mapping[str, set[str]]) -> dict[str, str]:
    """Studies with the very same images and reports; the one with the lowest id stays."""
    seen: dict[tuple[frozenset[str], frozenset[str]], str] = {}
    twins = {}
    for study in sorted(image_of):
        kept = seen.setdefault((frozenset(image_of[study]), frozenset(report_of.get(study, ()))), study)
        if kept != study:
            twins[study] = kept
    return twins


def _sharing(things_of: Mapping[str, set[str]]) -> list[list[str]]:
    studies: dict[str, list[str]] = defaultdict(list)
    for study, things in things_of.items():
        for thing in things:
            studies[thing].append(study)
    return groups_of((group[0], other) for group in studies.values() for other in group[1:])


def _alike_texts(reports: pa.Table) -> Iterable[tuple[str, str]]:
    studies, texts = reports["study_id"].to_pylist(), reports["text"].to_pylist()
    long = [(s, t) for s, t in zip(studies, texts, strict=True) if len(t.split()) >= _FEWEST_WORDS]
    for a, b in similar_texts([text for _, text in long], _LEAST_JACCARD):
        yield long[a][0], long[b][0]


def groups_of(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the groups that pairs chain together, sorted."""
    parent: dict[str, str] = {}
    for a, b in pairs:
        low, high = sorted((_root(parent, a), _root(parent, b)))
        parent[high] = low
    groups: dict[str, list[str]] = defaultdict(list)
    for member in list(parent):
        groups[_root(parent, member)].append(member)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _root(parent: dict[str, str], member: str) -> str:
    parent.setdefault(member, member)
    while parent[member] != member:
        parent[member] = parent[parent[member]]
        member = parent[member]
    return member
