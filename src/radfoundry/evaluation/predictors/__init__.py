"""Whatever can answer: `open_predictor` turns the WHAT of a command into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from radfoundry.errors import UsageError
from radfoundry.protocols import Predictor

if TYPE_CHECKING:
    from radfoundry.evaluation.tasks import Item

__all__ = ["open_predictor"]


def open_predictor(what: str, training: list[Item] | None = None) -> Predictor:
    """Return the predictor that `what` names: "majority", "answers:FILE", "nano", or a folder with a checkpoint.

    training: the items from which "majority" counts. Raises UsageError for a name that is none of these.
    """
    if what == "majority":
        from radfoundry.evaluation.predictors.majority import Majority

        return Majority.of(training or [])
    if what.startswith("answers:"):
        from radfoundry.evaluation.predictors.answers import AnswersFile

        return AnswersFile(Path(what.removeprefix("answers:")))
    if Path(what).is_dir():
        from radfoundry.evaluation.predictors.local import LocalModel

        return LocalModel(Path(what))
    raise UsageError(
        f"no model {what!r}",
        "it is neither a folder with a checkpoint, nor majority, nor answers:FILE",
        "train one: radfoundry train OUT --run DIR, then --model DIR",
    )
