"""The exception tree: one class per mend, so that whoever catches it knows what to do next.

RadfoundryError            anything that we raise on purpose
├── UsageError             the caller's mistake: a wrong flag, an unknown name, a missing file   (exit status 2)
├── RowError               this study, picture or text cannot go in; the rest goes on            (table `rejected`)
│   ├── UnreadableError        the file is not what it says, or is cut short
│   ├── GeometryError          the pixels have no trustworthy place in the patient
│   ├── MismatchError          two things that should belong together do not
│   └── LimitError             larger, deeper or slower than the limits allow
├── MachineError           a disk, a process or a connection failed; trying again may help       (bounded retries)
├── MissingExtraError      an optional library is needed; the message has the pip line
└── CorpusError            a corpus folder is not what its manifests say
"""

from __future__ import annotations

__all__ = [
    "CorpusError",
    "GeometryError",
    "LimitError",
    "MachineError",
    "MismatchError",
    "MissingExtraError",
    "RadfoundryError",
    "RowError",
    "UnreadableError",
    "UsageError",
]


class RadfoundryError(Exception):
    """Say what went wrong, why, and what mends it; `str()` gives the three as lines."""

    code = "error"

    def __init__(self, what: str, why: str = "", mend: str = "", *, code: str | None = None) -> None:
        super().__init__(what, why, mend)
        self.what, self.why, self.mend = what, why, mend
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return "\n".join(line for line in (self.what, self.why, self.mend) if line)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.why, self.mend, self.code))


def _rebuild(kind: type[RadfoundryError], what: str, why: str, mend: str, code: str) -> RadfoundryError:
    """Cross a process border with the code kept (keyword arguments are lost by pickle's default)."""
    return kind(what, why, mend, code=code)


class UsageError(RadfoundryError):
    """The command or call is wrong as given."""

    code = "usage"


class RowError(RadfoundryError):
    """One input cannot go in; it is written to `rejected` and the rest goes on."""

    code = "row"


class UnreadableError(RowError):
    """A file is not what it says, or is cut short."""

    code = "unreadable"


class GeometryError(RowError):
    """Pixels have no trustworthy place in the patient."""

    code = "geometry"


class MismatchError(RowError):
    """Two things that should belong together do not."""

    code = "mismatch"


class LimitError(RowError):
    """An input is larger, deeper or slower than the limits allow."""

    code = "limit"


class MachineError(RadfoundryError):
    """A disk, a process or a connection failed; trying again may help."""

    code = "machine"


class MissingExtraError(RadfoundryError):
    """An optional library is needed."""

    code = "missing-extra"

    def __init__(self, what: str, why: str = "", mend: str = "", *, code: str | None = None, extra: str = "") -> None:
        super().__init__(what, why, mend or f"pip install 'radfoundry[{extra}]'", code=code)


class CorpusError(RadfoundryError):
    """A corpus folder is not what its manifests say."""

    code = "corpus"
