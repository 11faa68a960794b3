"""`radfoundry compare RUN RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radfoundry.errors import UsageError


def compare(first: Path, second: Path, *, json: bool = False) -> Any:
    """Compare two run logs on the questions that both answered: first minus second, paired by patient.

    Parameters
    ----------
    first
        A run folder.
    second
        Another run folder.
    json
        Print the differences as a JSON line.
    """
    from radfoundry.cli import console
    from radfoundry.evaluation.comparing import compare_runs
    from radfoundry.evaluation.runlog import RunLog

    one, two = RunLog(first), RunLog(second)
    sets = {run.about.get("compat", "") for run in (one, two)}
    found = compare_runs(one.records(), two.records(), compat=sets.pop() if len(sets) == 1 else "")
    if not found:
        raise UsageError(f"{first} and {second} share no question", "none has the same id and truth in both", "")
    if json:
        console.say_json({name: d._asdict() for name, d in found.items()})
        return found
    rows = [(name, d.n, d.value, d.low, d.high, d.p) for name, d in found.items()]
    console.say_table(f"{first} minus {second}", ["score", "n", "difference", "low", "high", "p"], rows)
    return found
