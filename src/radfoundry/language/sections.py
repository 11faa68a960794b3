"""Sections of a report: which header opens which of findings, impression, history, comparison, technique."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from radfoundry.language.matching import read_table

__all__ = ["SECTIONS", "Section", "find_sections"]

SECTIONS = ("findings", "impression", "history", "comparison", "technique")


class Section(NamedTuple):
    """A stretch of a report under one header, the header itself left out; half-open characters."""

    name: str
    start: int
    end: int


def find_sections(report: str) -> list[Section]:
    """Sections in reading order; text before any header counts as findings.

    A header stands at the beginning of a line or after the end of a sentence and is followed by a colon or has the
    line for itself. Headers that open no section we keep (`EXAMINATION`, `SIGNATURE`) become `technique`.
    """
    headers = [(match.start(), match.end(), _names()[_key(match["header"])]) for match in _pattern().finditer(report)]
    opened = [("findings", 0), *((name, end) for _, end, name in headers)]
    closes = [*(start for start, _, _ in headers), len(report)]
    sections = [Section(name, start, end) for (name, start), end in zip(opened, closes, strict=True)]
    return [section for section in sections if report[section.start : section.end].strip()]


def _key(header: str) -> str:
    return " ".join(header.casefold().split())


@cache
def _names() -> dict[str, str]:
    return {row["header"]: row["section"] for row in read_table("sections.tsv")}


@cache
def _pattern() -> re.Pattern[str]:
    words = sorted((re.escape(name).replace(r"\ ", r"\s+") for name in _names()), key=len, reverse=True)
    return re.compile(
        rf"(?:^[ \t*#]*|(?<=[.?!])\s{{1,8}})(?P<header>{'|'.join(words)})\s*\**(?::\**|[ \t]*(?=\n))",
        re.IGNORECASE | re.MULTILINE,
    )
