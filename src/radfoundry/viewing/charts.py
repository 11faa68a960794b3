"""Small charts as inline SVG: scores beside their blind controls, and counts. No plotting library, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from radfoundry.viewing.templating import render

__all__ = ["Score", "count_chart", "score_chart"]

_LABEL, _PLOT, _NUMBER, _ROW = 230, 340, 150, 30


@dataclass(frozen=True)
class Score:
    """A score from 0 to 1 with its interval, how many answers it rests on, and the same score with the image removed."""

    name: str
    value: float
    low: float
    high: float
    n: int
    blind: float | None = None


def score_chart(scores: Sequence[Score]) -> Markup:
    """Return a row a score: a dot with its interval, and a hollow dot where the blind control stands."""

    def x(value: float) -> float:
        return _LABEL + _PLOT * min(max(value, 0.0), 1.0)

    rows = [
        {
            "y": _ROW * (line + 1),
            "score": score,
            "x": x(score.value),
            "low": x(score.low),
            "high": x(score.high),
            "blind": None if score.blind is None else x(score.blind),
            "words": f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]",
        }
        for line, score in enumerate(scores)
    ]
    ticks = [(x(tick / 4), f"{tick / 4:g}") for tick in range(5)]
    return _svg("score_chart.svg.j2", rows, ticks=ticks)


def count_chart(counts: Mapping[str, int]) -> Markup:
    """Return a bar a class, longest first; equal counts keep their order."""
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    most = max(counts.values(), default=0) or 1
    rows = [
        {"y": _ROW * (line + 1), "name": name, "count": f"{count:,}", "length": _PLOT * count / most}
        for line, (name, count) in enumerate(ordered)
    ]
    return _svg("count_chart.svg.j2", rows)


def _svg(template: str, rows: Sequence[Mapping[str, object]], **more: object) -> Markup:
    width, height = _LABEL + _PLOT + _NUMBER, _ROW * (len(rows) + 1) + 14
    return render(template, rows=rows, width=width, height=height, left=_LABEL, right=_LABEL + _PLOT, **more)
