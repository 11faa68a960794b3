"""Answers that are sizes: how far the stated length is from the true one, read from text in any unit that reports use."""

from __future__ import annotations

from radfoundry.language import find_measurements
from radfoundry.metrics.metric import Mean

__all__ = ["SizeError", "SizeWithin", "parse_size_mm"]


def parse_size_mm(text: str) -> float | None:
    """The longest axis that a text states, mm; None if it states no size, or several that differ."""
    found = {max(size.values_mm) for size in find_measurements(text)}
    return found.pop() if len(found) == 1 else None


class SizeWithin(Mean[str, str]):
    """The share of sizes within `share` of the true longest axis; an answer without one size is wrong, counted and kept.

    A reference that states no size is left out and counted.
    """

    def __init__(self, share: float = 0.25) -> None:
        super().__init__()
        self.share = share
        self.name = f"size within {share:.0%}"

    def score(self, prediction: str, reference: str) -> float | None:
        true = parse_size_mm(reference)
        if true is None:
            return None
        said = parse_size_mm(prediction)
        if said is None:
            self.fail_to_parse(prediction)
            return 0.0
        return float(abs(said - true) <= self.share * true)


class SizeError(Mean[str, str]):
    """Mean absolute error of the longest axis, mm, over the answers that state one size; the others are counted.

    Never alone: an answer that states no size is left out here, and wrong in `SizeWithin`.
    """

    name = "size error mm"
    better = "lower"
    worst = None

    def score(self, prediction: str, reference: str) -> float | None:
        said, true = parse_size_mm(prediction), parse_size_mm(reference)
        return None if said is None or true is None else abs(said - true)
