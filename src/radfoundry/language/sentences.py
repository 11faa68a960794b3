"""Sentences of a report with their places: never inside a decimal, an abbreviation or a bracket."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["LONGEST_SENTENCE", "split_sentences"]

LONGEST_SENTENCE = 4000
"""What runs on for longer without a stop is cut at a space: a table or a slip, and rules would only get lost in it."""

_STOP = re.compile(
    r"""[.?!\s](?:                          # what every stop begins with
        (?<=[.?!])[.?!]*["'”]*(?=\s|$)      # the end of a sentence
      | (?<=\n)[ \t]*(?:\n\s*)+             # an empty line
      | (?<=\n)(?=[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t])  # a list item
      | (?<=\s)["”•·](?=\s)                # a bullet, or the quote that stands for one in exported reports
      )""",
    re.VERBOSE,
)
_MARKER = re.compile(r"\s*(?:(?:\d{1,2}[.)]|[-*•])(?=\s))?[\s\"“]*")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:ca|cf|dr|prof|e\.g|i\.e|vs|approx|fig|no|art|st|th|lat|med|inf|sup)$", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_]")
_NUMBER = re.compile(r"(?:^\s*|[.?!;:\n][\"'”]*\s+)\d{1,2}$")
_BRACKET_REACH = 300  # an open bracket that does not close within this many characters is a slip of the pen


def split_sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Half-open spans of the sentences in `text[start:end]`, without list markers and outer white space.

    A stop inside a bracket ("(small airway disease?, small vessel disease?).") ends nothing. Sentences without a letter
    or a digit (a lone ".") are left out.
    """
    end = len(text) if end is None else end
    opened = start
    for match in _STOP.finditer(text, start, end):
        is_full = text[match.start()] in ".?!"
        if is_full and not _ends_sentence(text, opened, match):
            continue
        yield from _trimmed(text, opened, match.end() if is_full else match.start())
        opened = match.end()
    yield from _trimmed(text, opened, end)


def _ends_sentence(text: str, opened: int, stop: re.Match[str]) -> bool:
    before = text[max(opened, stop.start() - 20) : stop.start()]
    if stop[0] == "." and (_NUMBER.search(before) or _is_abbreviation(text, before, stop.end())):
        return False
    bracket = text.rfind("(", max(opened, stop.start() - _BRACKET_REACH), stop.start())
    if bracket < 0 or text.find(")", bracket, stop.start()) >= 0:
        return True
    closing = text.find(")", stop.end(), stop.end() + _BRACKET_REACH)
    another = text.find("(", stop.end(), stop.end() + _BRACKET_REACH)
    return closing < 0 or 0 <= another < closing


def _is_abbreviation(text: str, before: str, stop_end: int) -> bool:
    """ "Ca. 5 mm", "e.g. a", but not "Effusion: no. The": a short word, and a small letter or a number follows."""
    following = text[stop_end : stop_end + 8].lstrip()[:1]
    return bool(_ABBREVIATION.search(before)) and (following.islower() or following.isdigit())


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    marker = _MARKER.match(text, start, end)
    start = marker.end() if marker else start
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > LONGEST_SENTENCE:
        cut = text.rfind(" ", start + 1, start + LONGEST_SENTENCE)
        cut = cut if cut > 0 else start + LONGEST_SENTENCE
        yield start, cut
        start = cut
    if _WORD.search(text, start, end):
        yield start, end
