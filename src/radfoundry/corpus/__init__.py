"""Corpora: tables and label maps on disk, the engine that fills them, and the one way in."""

from radfoundry.corpus.about import CorpusInfo
from radfoundry.corpus.balance import balance_rule, read_rule
from radfoundry.corpus.card import write_card
from radfoundry.corpus.contamination import Benchmark, Overlap, contamination, patient_overlap
from radfoundry.corpus.corpus import Corpus
from radfoundry.corpus.engine import BuildReport, build
from radfoundry.corpus.estimate import Estimate, estimate_build
from radfoundry.corpus.joining import join
from radfoundry.corpus.labelmaps import decode_labelmap, encode_labelmap, labelmap_name
from radfoundry.corpus.licences import combined, for_use, licence_counts, terms_of
from radfoundry.corpus.migration import migrate
from radfoundry.corpus.pipeline import Pipeline, Source, StepError
from radfoundry.corpus.progress import Pace, Progress, StepPace
from radfoundry.corpus.replay import Stage, replay
from radfoundry.corpus.samples import Mixture, Samples
from radfoundry.corpus.splits import split_of

__all__ = [
    "Benchmark",
    "BuildReport",
    "Corpus",
    "CorpusInfo",
    "Estimate",
    "Mixture",
    "Overlap",
    "Pace",
    "Pipeline",
    "Progress",
    "Samples",
    "Source",
    "Stage",
    "StepError",
    "StepPace",
    "balance_rule",
    "build",
    "combined",
    "contamination",
    "decode_labelmap",
    "encode_labelmap",
    "estimate_build",
    "for_use",
    "join",
    "labelmap_name",
    "licence_counts",
    "migrate",
    "patient_overlap",
    "read_rule",
    "replay",
    "split_of",
    "terms_of",
    "write_card",
]
