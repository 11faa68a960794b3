"""Where tables leave the row logic that all published tables keep: a check for our own files, and for anyone's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from radfoundry.formats.radgenome.paths import NO_FINDINGS, WHOLE_SCAN, ancestors_of, every_path, twins_of
from radfoundry.formats.radgenome.tables import RadGenome, listed

__all__ = ["Breach", "breaches"]

_Key = tuple[str, str]


class Breach(NamedTuple):
    """A row that should not be so."""

    rule: str
    volume: str
    path: str
    what: str


def breaches(data: RadGenome, *, as_published: bool = False) -> list[Breach]:
    """Return every breach, rule by rule. as_published: the aorta's two paths, too, must agree, as they do in the published files.

    A finding both affirmed and denied on one path is a breach of ours (`contradiction`) that the published files have.
    """
    yes, no, all_rows = _presence(data, "Yes."), _presence(data, "No."), _abnormality(data)
    found = [*_unique(data), *_same_rows(data, yes, no, all_rows), *_sizes(data)]
    found += [*_hierarchy(all_rows), *_hierarchy(yes)]
    found += _twins(all_rows, as_published)
    for key in yes.keys() & no.keys():
        both = set(listed(yes[key])) & set(listed(no[key]))
        found += [Breach("contradiction", *key, finding) for finding in sorted(both)]
    return sorted(found)


def _presence(data: RadGenome, answer: str) -> dict[_Key, str]:
    return {(row.volume, row.anatomy): row.finding for row in data.vqa_presence if row.presence == answer}


def _abnormality(data: RadGenome) -> dict[_Key, str]:
    return {(row.volume, row.anatomy): row.abnormality for row in data.vqa_abnormality}


def _unique(data: RadGenome) -> Iterator[Breach]:
    keys = {
        "one abnormality row a path": [(r.volume, r.anatomy, "") for r in data.vqa_abnormality],
        "one presence row a path and answer": [(r.volume, r.anatomy, r.presence) for r in data.vqa_presence],
        "one report row a path": [(r.volume, r.anatomy, "") for r in data.region_report],
        "one disorders row a volume": [(r.volume, WHOLE_SCAN, "") for r in data.case_disorders],
    }
    for rule, rows in keys.items():
        yield from (Breach(rule, *key) for key, count in Counter(rows).items() if count > 1)


def _same_rows(data: RadGenome, yes: dict[_Key, str], no: dict[_Key, str], cells: dict[_Key, str]) -> Iterator[Breach]:
    """Yes rows and location rows repeat the abnormality rows that are not empty; an empty one rests on a denial."""
    located = {(row.volume, row.anatomy): row.abnormality for row in data.vqa_location}
    told = {key: cell for key, cell in cells.items() if cell != NO_FINDINGS}
    for rule, rows in (("yes rows are the abnormalities", yes), ("location rows are the abnormalities", located)):
        for key in sorted(rows.keys() | told.keys()):
            if rows.get(key) != told.get(key):
                yield Breach(rule, *key, f"{rows.get(key)} instead of {told.get(key)}")
    for key in sorted(cells.keys() - told.keys() - no.keys()):
        yield Breach("no findings rests on a denial", *key, "")


def _hierarchy(cells: dict[_Key, str]) -> Iterator[Breach]:
    """Every ancestor has a row, and it holds what its children hold."""
    for (volume, path), cell in cells.items():
        for above in ancestors_of(path)[-1:]:
            if (volume, above) not in cells:
                yield Breach("every ancestor has a row", volume, path, above)
            elif more := set(listed(cell)) - set(listed(cells[volume, above])):
                yield Breach("a parent holds its children", volume, path, ", ".join(sorted(more)))


def _twins(cells: dict[_Key, str], as_published: bool) -> Iterator[Breach]:
    known = set(every_path())
    for (volume, path), cell in cells.items():
        if path in known and (as_published or not path.endswith("/aorta")):
            for twin in twins_of(path):
                if set(listed(cells.get((volume, twin), ""))) != set(listed(cell)):
                    yield Breach("twin paths have the same rows", volume, path, twin)


def _sizes(data: RadGenome) -> Iterator[Breach]:
    for row in data.vqa_size:
        if not ancestors_of(row.anatomy):
            yield Breach("a head has no size row", row.volume, row.anatomy, row.size)
