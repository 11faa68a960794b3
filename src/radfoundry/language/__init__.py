"""Report text: sections, sentences, findings with presence and size, published label sets, cleaning; lexicons as data."""

from radfoundry.language.cleaning import CleanReport, LeftBehind, clean_report, clean_sentence, left_behind
from radfoundry.language.concepts import Concept, concepts
from radfoundry.language.findings import Statement, find_findings
from radfoundry.language.labels import LABEL_SETS, Label, label_report, label_set, label_statements
from radfoundry.language.measurements import Measurement, find_measurements, why_no_size
from radfoundry.language.reading import why_unread
from radfoundry.language.report import ParsedReport, Sentence, parse_report

__all__ = [
    "parse_report", "ParsedReport", "Sentence", "why_unread",
    "find_findings", "Statement", "concepts", "Concept",
    "find_measurements", "Measurement", "why_no_size",
    "label_report", "label_statements", "label_set", "Label", "LABEL_SETS",
    "clean_report", "clean_sentence", "CleanReport", "left_behind", "LeftBehind",
]  # fmt: skip
