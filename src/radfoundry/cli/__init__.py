"""The command line: one file a command, each a public Python function of the same name and defaults."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

from radfoundry import __version__
from radfoundry.errors import RadfoundryError, UsageError

__all__ = ["COMMANDS", "main", "parse_words"]

# name -> one line of help; the function is in the file of that name, imported when the command is called
COMMANDS = {
    "demo": "The whole line on phantoms: corpus, training, answers, scores, a page.",
    "doctor": "What is in a folder, what is wrong with it, what can be built from it.",
    "build": "Build a corpus from studies: grounded-report, m3d, description, instruction or summary.",
    "audit": "What is wrong with findings, links and questions as a whole: prevalence, contradictions, text against masks.",
    "show": "Pictures and pages of what was built.",
    "train": "Train a model on one or more corpora; goes on where it stopped.",
    "bench": "Ask a model the questions of a corpus, score it beside its blind controls.",
    "rescore": "Score a run log again, without the model.",
    "compare": "Compare two run logs on the questions they share.",
    "ask": "Ask about a study: text, box, mask, picture.",
    "serve": "The API and the page over a model, and a corpus if there is one.",
    "convert": "Published weights as a checkpoint of ours.",
    "export": "Write a corpus in a published layout: radgenome, m3d, llava or jsonl.",
    "replay": "Run one study of a corpus through its steps again and show what each adds.",
    "info": "Facts about the anatomy, a model, or a corpus.",
}


def _app() -> App:
    app = App(
        name="radfoundry",
        help="From radiology studies to grounded corpora, models that point at what they say, and believable scores.",
        version=__version__,
        result_action="return_value",
    )
    for name, line in COMMANDS.items():
        app.command(f"radfoundry.cli.{name}:{name}", name=name, help=line)
    return app


def parse_words(words: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a command line without running it. Raises UsageError for one that is wrong."""
    try:
        _, bound, _ = _app().parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise UsageError(str(error).strip(), mend="radfoundry --help") from error
    return dict(bound.arguments)


def main() -> None:
    """Run the command that `sys.argv` names. Exit status: 0 done, 1 the work failed, 2 wrong use."""
    try:
        _app()(sys.argv[1:], exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(UsageError(str(error).strip(), mend="radfoundry --help"), 2)
    except UsageError as error:
        _fail(error, 2)
    except RadfoundryError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: RadfoundryError, status: int) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(status)
