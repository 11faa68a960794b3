"""Yes as often as no: closed questions that a guess by the thing asked about would otherwise answer.

Reports affirm some findings and deny others, so the commonest answer about each finding is right far too often. The builder marks a
closed question with what it is about (`made_by.by`); who reads samples gets, of each such group and split, the rarer answer whole and as
many of the other. Which ones follows from the sample ids alone: waves, workers and the order of building change nothing. The table
keeps every row.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from radfoundry.errors import UsageError

__all__ = ["balance_rule", "balanced", "read_rule"]

_RULE = re.compile(r"balanced: (?P<about>.+) = (?P<answer>yes|no) \((?P<source>\w+)\)")


def balance_rule(about: str, answer: str, source: str = "stated") -> str:
    """Return what `made_by.by` of a closed question says: the group in which yes and no are to be equally many, and its answer."""
    rule = f"balanced: {about} = {answer} ({source})"
    if read_rule(rule) != (about, answer, source):
        raise UsageError("a balanced question is answered yes or no", f"got {rule!r}")
    return rule


def read_rule(by: str) -> tuple[str, str, str] | None:
    """Return about, answer and source of a rule, None for any other maker of rows."""
    found = _RULE.fullmatch(by)
    return (found["about"], found["answer"], found["source"]) if found else None


def balanced(samples: pa.Table) -> pa.Table:
    """Return a samples table with, of each balanced group and split, as many rows answered yes as no, in the order given."""
    if not samples.num_rows:
        return samples
    by = pc.struct_field(samples["made_by"].combine_chunks(), "by")
    marked = pc.fill_null(pc.starts_with(by, "balanced: "), False)
    places = np.flatnonzero(marked.to_numpy(zero_copy_only=False))
    if not len(places):
        return samples
    chosen = samples.select(["sample_id", "split"]).take(places)
    dropped = _surplus(
        by.take(pa.array(places)).to_pylist(), chosen["split"].to_pylist(), chosen["sample_id"].to_pylist()
    )
    keep = np.ones(samples.num_rows, bool)
    keep[places[dropped]] = False
    return samples.filter(pa.array(keep))


def _surplus(rules: Sequence[str], splits: Sequence[str], ids: Sequence[str]) -> list[int]:
    """Return the places of the commoner answers beyond the number of the rarer; the largest ids go, which are as good as drawn."""
    groups: dict[tuple[str, str], list[tuple[str, str, int]]] = defaultdict(list)
    for place, (rule, split, sample_id) in enumerate(zip(rules, splits, ids, strict=True)):
        read = read_rule(rule)
        if read is not None:
            groups[read[0], split].append((sample_id, read[1], place))
    out = []
    for members in groups.values():
        counts = Counter(answer for _, answer, _ in members)
        left = {answer: min(counts["yes"], counts["no"]) for answer in ("yes", "no")}
        for _, answer, place in sorted(members):
            left[answer] -= 1
            if left[answer] < 0:
                out.append(place)
    return sorted(out)
