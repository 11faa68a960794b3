"""`radfoundry rescore RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def rescore(run: Path, *, json: bool = False) -> Any:
    """Score a run log again, without the model.

    Parameters
    ----------
    run
        The run folder.
    json
        Print scores as a JSON line.
    """
    from radfoundry.cli import console
    from radfoundry.cli.bench import say_scores
    from radfoundry.evaluation.runlog import RunLog
    from radfoundry.evaluation.running import RunResult, as_json
    from radfoundry.evaluation.scoring import score_run

    log = RunLog(run)
    about, records = log.about, list(log.records())
    result = RunResult(run, len(records), score_run(records))
    if json:
        console.say_json(as_json(result, about["suite"], about["model"]))
    else:
        say_scores(f"{about['model']} on {about['suite']}", result)
    return result
