"""One line of the doctor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from radfoundry.errors import RadfoundryError

__all__ = ["Finding", "Level", "of_error", "of_note", "summary"]

Level = Literal["error", "warning", "info"]

# refusals that are nobody's fault: objects that are no images of a patient
_HARMLESS = (
    "no-pixels",
    "localizer",
    "secondary-capture",
    "repeated-instance",
    "repeated-row",
    "unpaired-mask",
    "dangling-report",
    "dangling-mask",
)
# notes that a user should act on; the others are told as facts
_GRAVE = (
    "lost-hu",
    "identity-affine",
    "no-affine",
    "two-affines",
    "no-rescale",
    "no-suv",
    "unnamed-mask",
    "off-grid",
    "no-preamble",
)


@dataclass(frozen=True)
class Finding:
    """path: below the source, `archive.zip!member` inside one, "." for the whole. level "error": this cannot go in as it is;
    "warning": it can, but look; "info": a fact. reason: one sentence. mend: what to do, "" where nothing is to be done."""

    path: str
    level: Level
    code: str
    reason: str
    mend: str = ""


def of_error(path: str, error: RadfoundryError) -> Finding:
    """Return a refusal as a finding."""
    reason = f"{error.what}: {error.why}" if error.why else error.what
    return refusal(path, error.code, reason, error.mend)


def refusal(path: str, code: str, reason: str, mend: str) -> Finding:
    """Return a refusal; what is no image of a patient is a warning, not an error."""
    return Finding(path, "warning" if code in _HARMLESS else "error", code, reason, mend)


def of_note(path: str, note: str) -> Finding:
    """Return a reader's note `code: sentence` as a finding."""
    code, _, sentence = note.partition(": ")
    return Finding(path, "warning" if code in _GRAVE else "info", code, sentence)


def summary(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return counts: images read, findings by level, codes of errors and warnings; plain values for JSON."""
    levels: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    reads = 0
    for finding in findings:
        levels[finding.level] += 1
        reads += finding.code == "reads"
        if finding.level != "info":
            codes[finding.code] += 1
    return {
        "images": reads,
        "errors": levels["error"],
        "warnings": levels["warning"],
        "infos": levels["info"],
        "codes": dict(sorted(codes.items())),
    }
