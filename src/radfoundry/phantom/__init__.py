"""Synthetic patients whose truth is known: CT, frontal X-ray, masks, findings, links and reports, made from an index."""

from radfoundry.phantom.cohort import write_cohort
from radfoundry.phantom.questions import PhantomQuestion, questions_about
from radfoundry.phantom.study import PHANTOM_VERSION, SIZES, Phantom, make_phantom
from radfoundry.phantom.truth import TruthFinding, TruthLink

__all__ = [
    "PHANTOM_VERSION",
    "SIZES",
    "Phantom",
    "PhantomQuestion",
    "TruthFinding",
    "TruthLink",
    "make_phantom",
    "questions_about",
    "write_cohort",
]
