"""Two run logs on the questions that they share: paired differences with intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from radfoundry.evaluation.runlog import Record
from radfoundry.evaluation.scoring import ASKED, metrics_of
from radfoundry.metrics import Difference, paired_difference

__all__ = ["compare_runs"]


def compare_runs(first: Iterable[Record], second: Iterable[Record]) -> dict[str, Difference]:
    """Return first minus second for every score of every task, over the questions that both answered as asked."""
    a, b = _asked(first), _asked(second)
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for sample_id in sorted(a.keys() & b.keys()):
        groups[(a[sample_id].task, a[sample_id].answer_kind)].append(sample_id)
    out: dict[str, Difference] = {}
    for (task, _), ids in sorted(groups.items()):
        mine, theirs = metrics_of([a[i] for i in ids]), metrics_of([b[i] for i in ids])
        out |= {f"{task}/{name}": paired_difference(mine[name], theirs[name]) for name in mine}
    return out


def _asked(records: Iterable[Record]) -> dict[str, Record]:
    return {r.sample_id: r for r in records if r.condition == ASKED}
