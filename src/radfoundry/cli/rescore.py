"""`radfoundry rescore RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def rescore(run: Path, *, json: bool = False) -> Any:
    """Score a run log again, without the model, and write its page anew.

    Parameters
    ----------
    run
        The run folder.
    json
        Print scores as JSON; the last line holds them all.
    """
    from radfoundry.cli import console
    from radfoundry.cli.bench import say_details, say_scores
    from radfoundry.evaluation.page import write_page
    from radfoundry.evaluation.runlog import RunLog
    from radfoundry.evaluation.running import as_json, result_of_log

    log = RunLog(run)
    result = result_of_log(log)
    page = write_page(run, result=result)
    if json:
        say_details(result)
        console.say_json(as_json(result, log.about["suite"], log.about["model"]))
    else:
        say_scores(f"{log.about['model']} on {log.about['suite']}", result)
        console.say(str(page))
    return result
