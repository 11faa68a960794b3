"""Two run logs on the questions that they share: paired differences with intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from radfoundry.evaluation.runlog import ASKED, Record
from radfoundry.evaluation.scoring import metrics_of, task_name
from radfoundry.metrics import Difference, paired_difference

__all__ = ["compare_runs"]


def compare_runs(first: Iterable[Record], second: Iterable[Record], *, compat: str = "") -> dict[str, Difference]:
    """Return first minus second for every score of every task, over the questions that both answered as asked.

    A question counts as shared if its id, its truth and its patient are the same in both. compat: published scorers to add.
    """
    a, b = _asked(first), _asked(second)
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for sample_id in sorted(a.keys() & b.keys()):
        if _truth(a[sample_id]) == _truth(b[sample_id]):
            groups[(a[sample_id].group or a[sample_id].task, a[sample_id].answer_kind)].append(sample_id)
    out: dict[str, Difference] = {}
    for (task, kind), ids in sorted(groups.items()):
        name = task_name(task, kind, [k for t, k in groups if t == task])
        mine, theirs = metrics_of([a[i] for i in ids], compat), metrics_of([b[i] for i in ids], compat)
        out |= {f"{name}/{score}": paired_difference(mine[score], theirs[score]) for score in mine}
    return out


def _asked(records: Iterable[Record]) -> dict[str, Record]:
    return {r.sample_id: r for r in records if r.condition == ASKED}


def _truth(record: Record) -> tuple[object, ...]:
    return record.patient, record.task, record.answer_kind, record.reference, record.reference_boxes, record.choices
