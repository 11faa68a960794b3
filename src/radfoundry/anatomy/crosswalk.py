"""Other vocabularies' words for our regions, and back.

Each table in `crosswalks/` has one row for each of their labels: `value` (number, path or code), `name`, our `region`, and
how our region stands to theirs: `exact`; `broader` (ours covers more); `narrower` (ours covers less); `union` (their one
label is several structures taken together, and our region is the group that holds them).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, TypeAlias, cast

from radfoundry.anatomy.regions import Region, normalise, region
from radfoundry.errors import UsageError

Relation: TypeAlias = Literal["exact", "broader", "narrower", "union"]

FOLDER = Path(__file__).with_name("crosswalks")


@dataclass(frozen=True)
class Mapping:
    """One of their labels: `value` and `name` are theirs, `region` is ours, `relation` is ours against theirs."""

    value: str
    name: str
    region: Region
    relation: Relation
    note: str


@dataclass(frozen=True)
class Crosswalk:
    """One vocabulary, in the order of its table."""

    vocabulary: str
    mappings: tuple[Mapping, ...]

    def find(self, name_or_value: str | int) -> Mapping:
        """Return the row of one of their labels, by its value or by its name.

        A name that means different regions at different values is answered by the row without a value, if it has one.

        Raises:
            UsageError: they have no such label.
        """
        found = self._by_label.get(normalise(str(name_or_value)))
        if found is None:
            raise UsageError(
                f"{self.vocabulary} has no label {name_or_value!r}",
                f"its {len(self.mappings)} labels are in the table crosswalks/{self.vocabulary}.tsv",
                "check the spelling, or name another vocabulary: " + ", ".join(vocabularies()),
                code="unknown-label",
            )
        return found

    def region_of(self, name_or_value: str | int) -> Region:
        """Our region for one of their labels, given by value or by name; raises as `find` does."""
        return self.find(name_or_value).region

    def names_of(self, name: str | Region) -> tuple[str, ...]:
        """Their names for our region, each once; empty when they have none."""
        ours = region(name)
        return tuple(dict.fromkeys(row.name for row in self.mappings if row.region == ours))

    def values_of(self, name: str | Region) -> tuple[str, ...]:
        """Their values (numbers, paths or codes) for our region; empty when they have none."""
        ours = region(name)
        return tuple(row.value for row in self.mappings if row.value and row.region == ours)

    @cached_property
    def _by_label(self) -> dict[str, Mapping]:
        """Values win over names, and of rows with one name the one without a value, else the first."""
        by_name = {normalise(row.name): row for row in reversed(self.mappings)}
        by_name |= {normalise(row.name): row for row in self.mappings if not row.value}
        return by_name | {normalise(row.value): row for row in self.mappings if row.value}


def vocabularies() -> tuple[str, ...]:
    """Names of the vocabularies that have a crosswalk."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.tsv")))


@cache
def crosswalk(vocabulary: str) -> Crosswalk:
    """Read one vocabulary's crosswalk.

    Raises:
        UsageError: there is no crosswalk of this name.
    """
    if vocabulary not in vocabularies():
        raise UsageError(
            f"there is no crosswalk to {vocabulary!r}",
            "a crosswalk is a table in the folder crosswalks/ beside the regions",
            "choose one of " + ", ".join(vocabularies()),
            code="unknown-vocabulary",
        )
    _, *lines = (FOLDER / f"{vocabulary}.tsv").read_text(encoding="utf-8").splitlines()
    return Crosswalk(vocabulary, tuple(_from_row(*line.split("\t")) for line in lines))


def _from_row(value: str, name: str, ours: str, relation: str, note: str) -> Mapping:
    return Mapping(value, name, region(ours), cast(Relation, relation), note)
