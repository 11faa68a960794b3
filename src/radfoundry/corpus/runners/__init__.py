"""Where waves are carried out: in this process, on all cores of this machine, or on a Ray cluster. Same wave function, same bytes."""

from radfoundry.corpus.runners.inline import InlineRunner
from radfoundry.corpus.runners.local import LocalRunner
from radfoundry.corpus.runners.runner import Died, Outcome, Runner

__all__ = ["Died", "InlineRunner", "LocalRunner", "Outcome", "Runner"]
