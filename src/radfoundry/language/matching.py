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
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import ahocorasick

from radfoundry.errors import UsageError

__all__ = ["GAP_CHARACTERS", "Lexicon", "Match", "expand", "fold", "read_table"]

GAP_CHARACTERS = 80
"""Longest stretch that ` ... ` of a term may stand for."""

_START = itemgetter(0)
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


class _Word(NamedTuple):
    """What ends at a place of the automaton: whole terms, terms open at the end (`*`), and pieces of gapped ones.

    A whole term is its group, number and value; a piece its term's number among the gapped ones, its place in the term, and
    whether it is open.
    """

    length: int
    closed: list[tuple[int, int, Any]]
    open: list[tuple[int, int, Any]]
    pieces: list[tuple[int, int, bool]]


_Hit = tuple[int, int, int, Any]
"""A term found: its length below zero, so that the longest sorts first, its start, its number, its value."""


class _Gapped(NamedTuple):
    group: int
    value: Any
    last_piece: int


class Lexicon(Generic[Value]):
    """Terms with values, compiled once; `find` is safe to call from several threads.

    Several groups of terms are found in one pass over the text, without hiding one another.
    """

    def __init__(self, *groups: Iterable[tuple[str, Value]]) -> None:
        self._groups = range(len(groups))
        self._gapped: list[_Gapped] = []
        words: dict[str, _Word] = {}
        for group, entries in enumerate(groups):
            for number, (term, value) in enumerate(entries):
                for written in expand(term):
                    self._add(words, written, group, number, value)
        self._automaton = ahocorasick.Automaton()
        for text, word in words.items():
            self._automaton.add_word(text, word)
        self._automaton.make_automaton()

    def _add(self, words: dict[str, _Word], written: str, group: int, number: int, value: Value) -> None:
        pieces = written.split(" ... ")
        for place, piece in enumerate(pieces):
            is_open, text = piece.endswith("*"), fold(piece.removesuffix("*"))
            word = words.setdefault(text, _Word(len(text), [], [], []))
            if len(pieces) == 1:
                (word.open if is_open else word.closed).append((group, number, value))
            else:
                word.pieces.append((len(self._gapped), place, is_open))
        if len(pieces) > 1:
            self._gapped.append(_Gapped(group, value, len(pieces) - 1))

    def find(self, folded: str) -> list[Match[Value]]:
        """Terms of the first group in a folded text in order; of overlapping ones the longest, then the first.

        A term with a gap neither hides what stands in its gap nor is hidden by it.
        """
        return self.find_each(folded)[0]

    def find_each(self, folded: str) -> list[list[Match[Value]]]:
        """What `find` gives, for each group."""
        hits, joined = self._scan(folded)
        found = [_longest(plain) if plain else [] for plain in hits]
        for group, match in joined:
            found[group].append(match)
        for matches in found:
            if len(matches) > 1:
                matches.sort(key=_START)
        return found

    def find_all(self, folded: str) -> list[Match[Value]]:
        """Every term of the first group in a folded text, those inside longer ones too."""
        hits, joined = self._scan(folded)
        whole = [Match(start, start - length, value) for length, start, _, value in hits[0]]
        return whole + [match for group, match in joined if group == 0]

    def _scan(self, folded: str) -> tuple[list[list[_Hit]], list[tuple[int, Match[Value]]]]:
        """Terms without a gap, overlapping ones too, by group; terms with gaps and their groups."""
        hits: list[list[_Hit]] = [[] for _ in self._groups]
        spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
        after_text = len(folded)
        for last, (length, closed, opened, pieces) in self._automaton.iter(folded):
            end = stop = open_stop = last + 1
            start = end - length
            if start and folded[start - 1].isalnum() and folded[start].isalnum():
                continue
            if end < after_text and folded[end].isalnum():  # the word goes on
                stop = _plural_end(folded, end)
                open_stop = _any_end(folded, end) if opened or pieces else end
            if stop >= 0 and closed:
                for group, number, value in closed:
                    hits[group].append((start - stop, start, number, value))
            if opened:
                for group, number, value in opened:
                    hits[group].append((start - open_stop, start, number, value))
            for number, place, is_open in pieces:
                # the pieces come in the order of their ends: one whose forerunner has not come yet is of no use
                if place and (number, place - 1) not in spans:
                    continue
                reached = open_stop if is_open else stop
                if reached >= 0:
                    spans.setdefault((number, place), []).append((start, reached))
        return hits, list(self._join(folded, spans)) if spans else []

    def _join(
        self, folded: str, pieces: dict[tuple[int, int], list[tuple[int, int]]]
    ) -> Iterator[tuple[int, Match[Value]]]:
        """Put the pieces of gapped terms together, each with the nearest next one."""
        for (number, place), spans in pieces.items():
            group, value, last_piece = self._gapped[number]
            if place or (number, last_piece) not in pieces:
                continue
            rest = [sorted(pieces[number, follow]) for follow in range(1, last_piece + 1)]
            for start, end in spans:
                reached = _reach(folded, end, rest)
                if reached:
                    yield group, Match(start, reached, value)


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


def _plural_end(folded: str, end: int) -> int:
    """The end of the word if it is a regular plural of the term, or -1 if the term stops inside a word."""
    if folded[end] == "e" and folded[end + 1 : end + 2] == "s":
        end += 1
    return end + 1 if folded[end] == "s" and not folded[end + 1 : end + 2].isalnum() else -1


def _any_end(folded: str, end: int) -> int:
    while end < len(folded) and folded[end].isalnum():
        end += 1
    return end


def _longest(hits: list[_Hit]) -> list[Match[Any]]:
    kept: list[Match[Any]] = []
    covered = 0  # one bit a character
    for length, start, _, value in sorted(hits):
        end = start - length
        span = (1 << end) - (1 << start)
        if not covered & span:
            covered |= span
            kept.append(Match(start, end, value))
    return kept
