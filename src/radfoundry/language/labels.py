"""Published label sets (CT-RATE, NIH ChestX-ray14, CheXpert) and which of our concepts make each label true."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from radfoundry.errors import UsageError
from radfoundry.language.findings import Statement, find_findings
from radfoundry.language.matching import read_table
from radfoundry.language.report import parse_report

__all__ = ["LABEL_SETS", "STATED", "Label", "label_report", "label_set", "label_statements"]

LABEL_SETS = ("ct-rate", "nih", "chexpert")
NO_FINDING = "No Finding"
_NOT_ILL = (NO_FINDING, "Support Devices")
STATED = ("findings", "impression")
"""The sections in which a report states what is there."""


class Label(NamedTuple):
    """A published label and the concepts that make it true."""

    name: str
    concepts: frozenset[str]


@cache
def label_set(name: str) -> tuple[Label, ...]:
    """The labels of a set in their published order.

    Raises: `UsageError` for a set that is none of `LABEL_SETS`.
    """
    if name not in LABEL_SETS:
        raise UsageError(
            f"no label set {name!r}", "it is not one of the published sets", f"use one of {', '.join(LABEL_SETS)}"
        )
    rows = [row for row in read_table("label_sets.tsv") if row["set"] == name]
    return tuple(Label(row["label"], frozenset(filter(None, row["concepts"].split(";")))) for row in rows)


def label_report(text: str, label_set: str) -> dict[str, bool]:
    """Which labels of a set a report states in findings and impression; what it calls uncertain counts as stated."""
    sentences = parse_report(text).of(*STATED)
    return label_statements([made for sentence in sentences for made in find_findings(sentence.text)], label_set)


def label_statements(statements: list[Statement], set_name: str) -> dict[str, bool]:
    """Which labels of a set these statements make true."""
    stated = {
        made.concept for made in statements if made.presence != "absent" and made.temporal not in ("past", "resolved")
    }
    labels = {label.name: bool(label.concepts & stated) for label in label_set(set_name)}
    if NO_FINDING in labels:
        labels[NO_FINDING] = not any(true for name, true in labels.items() if name not in _NOT_ILL)
    return labels
