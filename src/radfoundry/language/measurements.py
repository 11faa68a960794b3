"""Sizes in report text, in millimetres: one to three axes, ranges, bounds; image numbers are no sizes."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["LARGEST_MM", "Measurement", "find_measurements", "why_no_size"]

LARGEST_MM = 2500.0
"""A length above this is no size inside a patient."""

_NUMBER = r"\d+(?:[.,]\d+)?"
_UNIT = r"mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|milimet(?:er|re)s?"
_TIMES = r"\s*(?:x|×|X|\*|by)\s*"
_SIZE = re.compile(
    rf"""(?P<axes>\d(?<![\w.,/]\d)\d*(?:[.,]\d+)?  # a digit first: what to look for is quick to find
    (?:\s*(?:{_UNIT}))?(?:{_TIMES}{_NUMBER}(?:\s*(?:{_UNIT}))?){{0,3}})
    (?:\s*(?P<joint>-|–|—|to|and|or)\s*(?P<upper>{_NUMBER}))?
    (?:\s*-?\s*(?P<unit>{_UNIT}))?(?![\w²³^]|[.,]\d|\s*/)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_PART = re.compile(rf"({_NUMBER})\s*({_UNIT})?", re.IGNORECASE)
_BETWEEN = re.compile(r"between\s*$", re.IGNORECASE)
_BOUND = re.compile(  # read on lower-case text
    r"(?:(?P<below>less than|smaller than|under|below|up to|not exceed(?:ing)?|do(?:es)? not exceed|"
    r"reach(?:es|ing)?(?: up to)?|<|≤|at most|maximum(?: of)?|max\.?|shorter than)|"
    r"(?P<above>more than|greater than|larger than|over|above|exceed(?:s|ing)|at least|>|≥|minimum(?: of)?))$"
)
_BOUND_ENDS = (
    "than", "under", "below", "to", "exceed", "exceeds", "exceeding", "reach", "reaches", "reaching", "most", "least", "maximum",
    "minimum", "max", "max.", "of", "over", "above", "<", "≤", ">", "≥",
)  # fmt: skip
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
    if not _DIGIT.search(text):
        return ()
    found = [size for match in _SIZE.finditer(text) for size in _measurements(text, match)]
    return tuple(size for size in found if 0 < min(size.values_mm) <= max(size.values_mm) <= LARGEST_MM)


def why_no_size(text: str) -> str:
    """The reason why `text` holds no size; empty if it holds one."""
    if find_measurements(text):
        return ""
    if not _DIGIT.search(text):
        return "no number"
    if re.search(r"\d\s*(?:mm|cm)[²³2-3]", text):
        return "an area or a volume, not a length"
    return "a number without mm or cm"


def _measurements(text: str, match: re.Match[str]) -> list[Measurement]:
    unit, upper, start, end = match["unit"], match["upper"], match.start(), match.end()
    parts = _PART.findall(match["axes"])
    if upper and not unit:  # "3 mm and 4": the second number is something else
        upper = None
    unit = unit or next((own for _, own in reversed(parts) if own), "")
    if not unit and (len(parts) < 3 or _IMAGE_NUMBER.search(text, 0, start)):
        return []
    axes = tuple(_mm(number, own or unit) for number, own in parts)
    low, high = _bounds(text[max(0, start - 24) : start], axes)
    if upper is None:
        end = end if match["unit"] else match.end("axes")
        return [Measurement(axes, text[start:end], start, end, low, high)]
    last = _mm(upper, unit)
    if len(axes) == 1 and (match["joint"] not in ("and", "or") or _BETWEEN.search(text, 0, start)):
        low, high = sorted((axes[0], last))
        return [Measurement((high,), text[start:end], start, end, low, high)]
    # "4 and 6 mm", "4x3 and 6 mm": two sizes that share a unit
    first, second = match.end("axes"), match.start("upper")
    return [
        Measurement(axes, text[start:first], start, first, low, high),
        Measurement((last,), text[second:end], second, end),
    ]


def _bounds(before: str, values: tuple[float, ...]) -> tuple[float | None, float | None]:
    before = before.lower().rstrip()
    bound = _BOUND.search(before) if before.endswith(_BOUND_ENDS) else None
    if bound is None:
        return None, None
    return (None, max(values)) if bound["below"] else (min(values), None)


def _mm(number: str, unit: str) -> float:
    value = float(number.replace(",", "."))
    return round(value * 10, 6) if _CENTIMETRE.match(unit) else value
