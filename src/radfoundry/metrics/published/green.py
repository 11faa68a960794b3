"""GREEN's score of a judge's verdict (Ostmeier 2024). Each fault is named where it is; do not mend them here."""

from __future__ import annotations

import re

__all__ = ["green"]


def green(verdict: str) -> float:
    """Matched findings over matched findings and significant errors.

    Faults: 0 where nothing matched, so two normal reports without an error score 0; a verdict that cannot be read scores
    0 as well; a section that starts with "No", such as "Nodule" or "Normal", counts as empty.
    """
    matched = re.findall(r"^\b\d+\b(?=\.)", _section(verdict, "Matched Findings"), re.MULTILINE)
    if not matched or int(matched[0]) == 0:
        return 0.0
    lines = re.findall(r"\([a-f]\) .*", _section(verdict, "Clinically Significant Errors"))
    counts = [re.search(r"(?<=: )\b\d+\b(?=\.)", line) for line in lines]
    errors = sum(int(count.group(0)) for count in counts if count)
    return int(matched[0]) / (int(matched[0]) + errors)


def _section(verdict: str, title: str) -> str:
    match = re.search(rf"\[{title}\]:\s*(.*?)(?:\n\s*\n|\Z)", verdict, re.DOTALL)
    body = match.group(1) if match else ""
    return "" if body.startswith("No") else body
