"""What the room holds, in numbers, for `radfoundry info anatomy`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from radfoundry.anatomy.crosswalk import crosswalk, vocabularies
from radfoundry.anatomy.regions import regions

CODES = ("snomed", "radlex", "uberon")


def describe() -> dict[str, object]:
    """Counts of regions, synonyms, pairs, kinds, sides and codes, and of each crosswalk's relations."""
    every = regions()
    return {
        "regions": len(every),
        "synonyms": sum(len(one.synonyms) for one in every),
        "pairs": sum(bool(one.pair) for one in every) // 2,
        "kinds": _counts(one.kind for one in every),
        "sides": _counts(one.side for one in every),
        "codes": {code: sum(bool(getattr(one, code)) for one in every) for code in CODES},
        "crosswalks": {name: _counts(row.relation for row in crosswalk(name).mappings) for name in vocabularies()},
    }


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
