"""Size: how large a finding is, if the report gives one size for it in one place."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator

from radfoundry.builders.grounded.asking import Asker
from radfoundry.grounding.statements import Statement
from radfoundry.language import find_measurements
from radfoundry.records import Measure, Sample

__all__ = ["ask_size"]

# steps between the sizes of a choice, and between a size and the bound of a closed question: beyond how readers differ
STEP = 1.6


def ask_size(ask: Asker) -> Iterator[Sample]:
    """Yield the size of each finding with one size, openly, against a bound, and among others."""
    for (concept, place), said in sorted(_sized(ask).items()):
        sizes = {m.values_mm: (s, m) for s in reversed(said) for m in s.finding.measurements}
        if len(sizes) != 1 or any((s.finding.count or 1) > 1 for s in said):
            continue
        ((statement, measure),) = sizes.values()
        form, values = ("in-place" if place else "anywhere"), {"concept": concept, "region": place}
        exact = _is_exact(statement, measure)
        size = _words(measure.values_mm) if exact else measure.text
        yield ask.ask("size", form, values | {"size": size}, statement.evidence, statement.region_ids)
        if exact:
            yield from _bounded(ask, form, values, statement, measure)
            yield from _among(ask, form, values, statement, measure)


def _sized(ask: Asker) -> dict[tuple[str, str], list[Statement]]:
    """Measured findings by concept and place: findings and impression may tell one finding twice."""
    found: dict[tuple[str, str], list[Statement]] = defaultdict(list)
    for s in ask.nodes.present:
        if s.finding.measurements and len(s.places) <= 1:
            found[s.concept, "".join(s.places)].append(s)
    return found


def _is_exact(statement: Statement, measure: Measure) -> bool:
    """A size, not a range and not "up to 5 mm"."""
    read = [m for m in find_measurements(statement.sentence.text) if m.text == measure.text]
    return all(m.low_mm is None and m.high_mm is None for m in read)


def _bounded(ask: Asker, form: str, values: dict[str, str], statement: Statement, measure: Measure) -> Iterator[Sample]:
    """Ask whether it is larger than a bound that lies above or below by a draw."""
    largest = max(measure.values_mm)
    larger = _draw(ask, statement) % 2 == 0
    bound = _rounded(largest / STEP if larger else largest * STEP)
    yield ask.closed(
        "size", f"larger-{form}", values | {"bound": f"{bound:g} mm"}, larger, statement.evidence, statement.region_ids,
        about=values["concept"],
    )  # fmt: skip


def _among(ask: Asker, form: str, values: dict[str, str], statement: Statement, measure: Measure) -> Iterator[Sample]:
    """Ask which of four sizes it is; the right one is the smallest as often as any other."""
    smaller = _draw(ask, statement) // 2 % 4
    wrong = [_words(tuple(_rounded(v * STEP**k) for v in measure.values_mm)) for k in range(-smaller, 4 - smaller) if k]
    right = _words(measure.values_mm)
    yield from ask.choice("size", f"choice-{form}", values, right, wrong, statement.evidence, statement.region_ids)


def _draw(ask: Asker, statement: Statement) -> int:
    digest = hashlib.blake2b(f"{ask.key}|{statement.finding.finding_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _rounded(mm: float) -> float:
    return float(round(mm)) if mm >= 10 else round(mm, 1)


def _words(values_mm: tuple[float, ...]) -> str:
    return " x ".join(f"{v:g}" for v in values_mm) + " mm"
