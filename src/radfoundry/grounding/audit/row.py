"""One line of an audit."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["AuditRow", "Level"]

Level = Literal["defect", "note", "fine"]


class AuditRow(NamedTuple):
    """What a check found about a subject: in `n` of `of` cases; what was expected; one or more examples (ids or words).

    level: "defect" is wrong or far from what is known; "note" is to be known; "fine" was looked at and is as it should be.
    """

    check: str
    level: Level
    subject: str
    n: int
    of: int
    expected: str = ""
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """n / of, None where there is no case."""
        return self.n / self.of if self.of else None
