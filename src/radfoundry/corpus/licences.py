"""Licences of rows: what each allows, how several add up, and which rows a use must leave out."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from radfoundry.errors import UsageError

if TYPE_CHECKING:
    from radfoundry.corpus.corpus import Corpus

__all__ = ["Terms", "Use", "combined", "for_use", "licence_counts", "terms_of"]

Use = Literal["research", "commercial", "redistribute"]


@dataclass(frozen=True)
class Terms:
    """What a licence allows and asks for; `known` is False for one that is not in licences.tsv."""

    licence: str
    commercial: bool
    redistribute: bool
    derive: bool
    attribution: bool
    share_alike: bool
    known: bool = True

    def allows(self, use: Use) -> bool:
        """Say whether rows may be used so. A corpus is a derived work: who may not derive may not hand it on."""
        if use == "redistribute":
            return self.redistribute and self.derive
        return self.commercial if use == "commercial" else True


@cache
def _table() -> dict[str, Terms]:
    text = files("radfoundry.corpus").joinpath("licences.tsv").read_text(encoding="utf-8")
    columns = ("commercial", "redistribute", "derive", "attribution", "share_alike")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {
        row["licence"].lower(): Terms(row["licence"], *(row[column] == "yes" for column in columns)) for row in rows
    }


def terms_of(licence: str) -> Terms:
    """Return the terms of a licence or of several joined by " AND "; an unknown or missing one allows research only."""
    parts = [_one(part.strip()) for part in licence.split(" AND ")]
    return Terms(
        licence,
        commercial=all(part.commercial for part in parts),
        redistribute=all(part.redistribute for part in parts),
        derive=all(part.derive for part in parts),
        attribution=any(part.attribution for part in parts),
        share_alike=any(part.share_alike for part in parts),
        known=all(part.known for part in parts),
    )


def _one(licence: str) -> Terms:
    return _table().get(licence.lower(), Terms(licence, False, False, True, True, False, known=False))


def combined(licences: Iterable[str]) -> str:
    """Return the licence of a row made from rows under these: all of them at once, in order, each once."""
    return " AND ".join(
        sorted({part.strip() for licence in licences for part in licence.split(" AND ") if part.strip()})
    )


def licence_counts(corpus: Corpus) -> dict[str, int]:
    """Return how many studies are under each licence, the commonest first; "" is no licence named."""
    counts = Counter(corpus.table("studies", columns=["licence"])["licence"].to_pylist())
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def for_use(corpus: Corpus, use: Use) -> Corpus:
    """Return the corpus without the studies and samples whose licence forbids a use. Raises UsageError where nothing is left."""
    rows = corpus.table("studies", columns=["study_id", "licence"])
    samples = corpus.table("samples", columns=["study_id", "licence"])
    pairs = [*zip(*(rows[c].to_pylist() for c in ("study_id", "licence")), strict=True)]
    pairs += zip(*(samples[c].to_pylist() for c in ("study_id", "licence")), strict=True)
    forbidden = {study for study, licence in pairs if not terms_of(licence).allows(use)}
    if len(forbidden) == rows.num_rows:
        named = ", ".join(repr(licence) for licence in licence_counts(corpus))
        raise UsageError(
            f"no study of {corpus.path} may be used for {use}", f"the licences are {named}",
            "name the right licence in the table's `licence` column and build again",
        )  # fmt: skip
    return corpus.without(forbidden)
