"""Sizes in report text, in millimetres: one to three axes, ranges, bounds; image numbers are no sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["LARGEST_MM", "Measurement", "find_measurements", "why_no_size"]

LARGEST_MM = 2500.0
"""A length above this is no size inside a patient."""

_NUMBER = r"\d+(?:[.,]\d+)?"
_UNIT = r"mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|milimet(?:er|re)s?"
_TIMES = r"\s*(?:x|×|X|\*|by)\s*"
_SIZE = re.compile(
    rf"""(?<![\w.,/])
    (?P<axes>{_NUMBER}(?:\s*(?:{_UNIT}))?(?:{_TIMES}{_NUMBER}(?:\s*(?:{_UNIT}))?){{0,3}})
    (?:\s*(?P<joint>-|–|—|to|and|or)\s*(?P<upper>{_NUMBER}))?
    (?:\s*-?\s*(?P<unit>{_UNIT}))?(?![\w²³^]|[.,]\d|\s*/)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PART = re.compile(rf"({_NUMBER})\s*({_UNIT})?", re.IGNORECASE)
_BETWEEN = re.compile(r"between\s*$", re.IGNORECASE)
_BELOW = re.compile(
    r"(?:less than|smaller than|under|below|up to|not exceed(?:ing)?|do(?:es)? not exceed|reach(?:es|ing)?(?: up to)?|<|≤|"
    r"at most|maximum(?: of)?|max\.?|shorter than)\s*$",
    re.IGNORECASE,
)
_ABOVE = re.compile(
    r"(?:more than|greater than|larger than|over|above|exceed(?:s|ing)|at least|>|≥|minimum(?: of)?)\s*$", re.IGNORECASE
)
_IMAGE_NUMBER = re.compile(
    r"(?:image|images|ima|img|series|se|im|slice|section|frame)\s*(?:no\.?|number|#|:)?\s*$", re.IGNORECASE
)
_CENTIMETRE = re.compile(r"c", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A size as written, half-open characters.

    `values_mm` are the axes in the order written; a range "2-3 mm" has one axis, its upper end, with `low_mm` and
    `high_mm`. "up to 5 mm" has `high_mm` alone and "over 5 mm" `low_mm` alone.
    """

    values_mm: tuple[float, ...]
    text: str
    start: int
    end: int
    low_mm: float | None = None
    high_mm: float | None = None


def find_measurements(text: str) -> tuple[Measurement, ...]:
    """All sizes of a text; three bare axes ("3.6x5x5") are taken as millimetres, other bare numbers are no sizes."""
    if not any(char.isdigit() for char in text):
        return ()
    return tuple(size for match in _SIZE.finditer(text) for size in _measurements(text, match))


def why_no_size(text: str) -> str:
    """The reason why `text` holds no size; empty if it holds one."""
    if find_measurements(text):
        return ""
    if not any(char.isdigit() for char in text):
        return "no number"
    if re.search(r"\d\s*(?:mm|cm)[²³2-3]", text):
        return "an area or a volume, not a length"
    return "a number without mm or cm"


def _measurements(text: str, match: re.Match[str]) -> Iterator[Measurement]:
    unit, upper = match["unit"], match["upper"]
    parts = _PART.findall(match["axes"])
    if upper and not unit:  # "3 mm and 4": the second number is something else
        upper = None
    unit = unit or next((own for _, own in reversed(parts) if own), "")
    if not unit and (len(parts) < 3 or _IMAGE_NUMBER.search(text, 0, match.start())):
        return
    axes = tuple(_mm(number, own or unit) for number, own in parts)
    low, high = _bounds(text[max(0, match.start() - 24) : match.start()], axes)
    if upper is None:
        end = match.end() if match["unit"] else match.end("axes")
        yield from _plausible(axes, text, match.start(), end, low, high)
    elif len(axes) == 1 and (match["joint"] not in ("and", "or") or _BETWEEN.search(text, 0, match.start())):
        low, high = sorted((axes[0], _mm(upper, unit)))
        yield from _plausible((high,), text, match.start(), match.end(), low, high)
    else:  # "4 and 6 mm", "4x3 and 6 mm": two sizes that share a unit
        yield from _plausible(axes, text, match.start(), match.end("axes"), low, high)
        yield from _plausible((_mm(upper, unit),), text, match.start("upper"), match.end(), None, None)


def _plausible(
    values: tuple[float, ...], text: str, start: int, end: int, low: float | None, high: float | None
) -> Iterator[Measurement]:
    if 0 < min(values) <= max(values) <= LARGEST_MM:
        yield Measurement(values, text[start:end], start, end, low, high)


def _bounds(before: str, values: tuple[float, ...]) -> tuple[float | None, float | None]:
    if _BELOW.search(before):
        return None, max(values)
    if _ABOVE.search(before):
        return min(values), None
    return None, None


def _mm(number: str, unit: str) -> float:
    value = float(number.replace(",", "."))
    return round(value * 10, 6) if _CENTIMETRE.match(unit) else value
