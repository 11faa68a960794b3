"""Whatever can answer: `open_predictor` turns the WHAT of a command into one.

A predictor may say more than its protocol asks: `looks` (False where pictures make no difference), `kinds` (the answer kinds it has), and
`answer_each(questions)`, which yields (place, answer) as answers come.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from radfoundry.errors import UsageError
from radfoundry.protocols import Predictor

if TYPE_CHECKING:
    from radfoundry.evaluation.tasks import Item

__all__ = ["WHAT", "open_predictor"]

WHAT = "a checkpoint folder, nano, openai:URL#MODEL, hf:FOLDER-OR-ID, answers:FILE, majority, or text-only"


def open_predictor(what: str, training: list[Item] | None = None) -> Predictor:
    """Return the predictor that `what` names (see `WHAT`).

    training: the items from which "majority" and "text-only" learn. Raises UsageError for a name that is none of these.
    """
    kind, _, rest = what.partition(":")
    if what == "majority":
        from radfoundry.evaluation.predictors.majority import Majority

        return Majority.of(training or [])
    if what == "text-only":
        from radfoundry.evaluation.predictors.text_only import TextOnly

        return TextOnly.of(training or [])
    if kind == "answers":
        from radfoundry.evaluation.predictors.answers import AnswersFile

        return AnswersFile(Path(rest))
    if kind == "openai":
        from radfoundry.evaluation.predictors.endpoint import EndpointModel

        return EndpointModel.at(rest)
    if kind == "hf":
        from radfoundry.evaluation.predictors.hf import HuggingFaceModel

        return HuggingFaceModel(rest)
    return _local(what)


def _local(what: str) -> Predictor:
    folder = _shipped() if what == "nano" and not Path(what).is_dir() else Path(what)
    if not folder.is_dir():
        raise UsageError(
            f"no model {what!r}",
            "this installation carries no nano weights" if what == "nano" else f"it is none of {WHAT}",
            "train one: radfoundry train OUT --run DIR, then --model DIR/last",
        )
    from radfoundry.evaluation.predictors.local import LocalModel

    return LocalModel(folder)


def _shipped() -> Path:
    return Path(str(files("radfoundry"))) / "model" / "weights" / "nano"
