"""Which metrics score which answers: native ones, read strictly, and those of published programs, faults included."""

from radfoundry.evaluation.scorers.compat import COMPAT
from radfoundry.evaluation.scorers.native import native_scorers, parse_answer
from radfoundry.evaluation.scorers.scorer import Scorer

__all__ = ["COMPAT", "Scorer", "native_scorers", "parse_answer"]
