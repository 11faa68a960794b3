"""Find the terms of a lexicon in text: one Aho-Corasick pass, whole words, longest first.

A term in a lexicon file is lower-case words with three marks: `(a|b|)` alternatives, a closing `*` for any ending
of the last word, and ` ... ` for up to `GAP_CHARACTERS` of other words of the same clause. A regular plural is
always accepted. Hyphens, slashes and typographic signs in the text count as spaces.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import ahocorasick

from radfoundry.errors import UsageError

__all__ = ["GAP_CHARACTERS", "Lexicon", "Match", "expand", "fold", "read_table"]

GAP_CHARACTERS = 80
"""Longest stretch that ` ... ` of a term may stand for."""

_CLAUSE_BREAK = re.compile(r"[;:.]\s|, (?:but|there)\b")
_INNERMOST = re.compile(r"\(([^()]*)\)")
_SPACES = {ord(sign): " " for sign in "-‐‑‒–—―/\\_\t\n\r\x0b\x0c\xa0\u2009\u202f\ufeff"} | {ord("’"): "'"}
_SPACES |= {code: " " for code in range(0xA0) if unicodedata.category(chr(code)) == "Cc"}

Value = TypeVar("Value")


class Match(NamedTuple, Generic[Value]):
    """A term found in a folded text, half-open character span."""

    start: int
    end: int
    value: Value


def fold(text: str) -> str:
    """Lower-case text of the same length, with separators and control characters as spaces."""
    folded = text.translate(_SPACES)
    lowered = folded.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in folded)


def expand(term: str) -> list[str]:
    """Write out the alternatives of a term, which may be nested: "(left|right) lung" gives two."""
    inner = _INNERMOST.search(term)
    if inner is None:
        return [" ".join(term.split())]
    choices = (term[: inner.start()] + choice + term[inner.end() :] for choice in inner[1].split("|"))
    return list(dict.fromkeys(written for choice in choices for written in expand(choice)))


def read_table(source: str | Path | Traversable) -> list[dict[str, str]]:
    """Read a tab-separated table with a header; lines that begin with `#` are comments.

    A bare name is looked up among the lexicons that come with this package.

    Raises: `UsageError` for a row that has not as many cells as the header.
    """
    where = files(__package__) / "data" / source if isinstance(source, str) else source
    lines = [line for line in where.read_text(encoding="utf-8").splitlines() if line.strip() and line[0] != "#"]
    header, *body = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    for cells in body:
        if len(cells) != len(header):
            raise UsageError(
                f"lexicon {where}: a row has {len(cells)} cells, the header has {len(header)}",
                f"the row begins with {cells[0]!r}",
                "separate cells by one tab; leave a cell empty rather than out",
            )
    return [dict(zip(header, cells, strict=True)) for cells in body]


class Lexicon(Generic[Value]):
    """Terms with values, compiled once; `find` is safe to call from several threads."""

    def __init__(self, entries: Iterable[tuple[str, Value]]) -> None:
        self._values: list[Value] = []
        parts: dict[str, list[tuple[int, int, bool]]] = {}
        self._gaps: list[int] = []
        for term, value in entries:
            for written in expand(term):
                number = len(self._values)
                self._values.append(value)
                pieces = written.split(" ... ")
                self._gaps.append(len(pieces) - 1)
                for place, piece in enumerate(pieces):
                    word = fold(piece.removesuffix("*"))
                    parts.setdefault(word, []).append((number, place, piece.endswith("*")))
        self._automaton = ahocorasick.Automaton()
        for word, uses in parts.items():
            self._automaton.add_word(word, (len(word), tuple(uses)))
        self._automaton.make_automaton()

    def find(self, folded: str) -> list[Match[Value]]:
        """Terms in a folded text in order; of overlapping ones the longest, then the first.

        A term with a gap neither hides what stands in its gap nor is hidden by it.
        """
        whole, joined = self._scan(folded)
        return sorted(_longest(whole) + joined, key=lambda m: m.start)

    def find_all(self, folded: str) -> list[Match[Value]]:
        """Every term in a folded text, those inside longer ones too."""
        whole, joined = self._scan(folded)
        return whole + joined

    def _scan(self, folded: str) -> tuple[list[Match[Value]], list[Match[Value]]]:
        """Terms without a gap, overlapping ones too, and terms with gaps."""
        whole: list[Match[Value]] = []
        pieces: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for last, (length, uses) in self._automaton.iter(folded):
            start = last + 1 - length
            if start and folded[start - 1].isalnum():
                continue
            end = last + 1
            for number, place, open_ended in uses:
                stop = _any_end(folded, end) if open_ended else _word_end(folded, end)
                if stop < 0:
                    continue
                if self._gaps[number]:
                    pieces.setdefault((number, place), []).append((start, stop))
                else:
                    whole.append(Match(start, stop, self._values[number]))
        return whole, list(self._join(folded, pieces)) if pieces else []

    def _join(self, folded: str, pieces: dict[tuple[int, int], list[tuple[int, int]]]) -> Iterator[Match[Value]]:
        """Put the pieces of gapped terms together, each with the nearest next one."""
        for (number, place), spans in pieces.items():
            if place:
                continue
            rest = [sorted(pieces.get((number, follow), ())) for follow in range(1, self._gaps[number] + 1)]
            for start, end in spans:
                reached = _reach(folded, end, rest)
                if reached:
                    yield Match(start, reached, self._values[number])


def _reach(folded: str, end: int, rest: list[list[tuple[int, int]]]) -> int:
    """The end of the last piece when each stands within the gap after the one before, else 0."""
    for spans in rest:
        place = bisect_left(spans, (end, 0))
        if place == len(spans) or spans[place][0] - end > GAP_CHARACTERS:
            return 0
        if _CLAUSE_BREAK.search(folded, end, spans[place][0]):
            return 0
        end = spans[place][1]
    return end


def _word_end(folded: str, end: int) -> int:
    """The end of the word with a regular plural allowed, or -1 if the term stops inside a word."""
    if not folded[end : end + 1].isalnum():
        return end
    if folded[end] == "e" and folded[end + 1 : end + 2] == "s":
        end += 1
    return end + 1 if folded[end] == "s" and not folded[end + 1 : end + 2].isalnum() else -1


def _any_end(folded: str, end: int) -> int:
    while end < len(folded) and folded[end].isalnum():
        end += 1
    return end


def _longest(found: list[Match[Value]]) -> list[Match[Value]]:
    if len(found) < 2:
        return found
    kept: list[Match[Value]] = []
    covered = bytearray(max(match.end for match in found))
    for match in sorted(found, key=_length_first):
        if 1 not in covered[match.start : match.end]:
            covered[match.start : match.end] = b"\1" * (match.end - match.start)
            kept.append(match)
    return kept


def _length_first(match: Match[Value]) -> tuple[int, int]:
    return match.start - match.end, match.start
