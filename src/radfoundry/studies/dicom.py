"""The one door to pydicom: a file becomes a data set, or an error that says what is wrong with it."""

from __future__ import annotations

import logging
import re
import struct
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, BinaryIO, TypeVar

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from radfoundry.errors import LimitError, UnreadableError

__all__ = [
    "BIG_ENDIAN",
    "DATASET_ERRORS",
    "DEFLATED",
    "IMPLICIT",
    "NATIVE",
    "guarded",
    "guessed_syntax",
    "is_dicom",
    "number_of",
    "read_dataset",
    "syntax_of",
    "uid_name",
    "value_of",
]

# what a damaged data set makes Python and pydicom raise
DATASET_ERRORS = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, NotImplementedError, OverflowError, EOFError, RuntimeError,
    struct.error, OSError, BytesLengthException, InvalidDicomError,
)  # fmt: skip
# its warnings are our errors and notes; they must not reach standard error with what a damaged element holds
logging.getLogger("pydicom").addHandler(logging.NullHandler())
IMPLICIT, BIG_ENDIAN, DEFLATED = (
    str(ImplicitVRLittleEndian),
    str(ExplicitVRBigEndian),
    str(DeflatedExplicitVRLittleEndian),
)
# samples lie in the file as they are
NATIVE = (IMPLICIT, BIG_ENDIAN, str(ExplicitVRLittleEndian))
T = TypeVar("T")


class _Watched:
    """A stream that never asks for more than is left and remembers whether a read came up short."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, 2)
        stream.seek(0)
        self.cut = False

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._stream.tell()
        self.cut |= 0 < left < size
        return self._stream.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def is_dicom(start: bytes) -> bool:
    """Say whether the first 132 bytes of a file are those of a DICOM file, with or without its preamble."""
    return start[128:132] == b"DICM" or _bare(start) != ""


def _bare(start: bytes) -> str:
    """Name the way in which a file without preamble begins: "little", "big" or ""."""
    group_element_vr = start[:6]
    if re.match(rb"[\x02\x08]\x00.\x00", group_element_vr, re.DOTALL) and len(start) > 16:
        # an explicit VR, or an implicit length that a first element can have
        explicit = group_element_vr[4:6].isalpha() and group_element_vr[4:6].isupper()
        return "little" if explicit or int.from_bytes(start[4:8], "little") <= 128 else ""
    return "big" if re.match(rb"\x00[\x02\x08]\x00.[A-Z]{2}", group_element_vr, re.DOTALL) else ""


def read_dataset(stream: BinaryIO, name: str, *, pixels: bool = False) -> tuple[Dataset, int, tuple[str, ...]]:
    """Return a data set, the offset at which reading stopped, and notes on what was mended.

    Raises UnreadableError, with the reason, for what is no DICOM object or a damaged one.
    """
    start = stream.read(132)
    notes: tuple[str, ...] = ()
    if start[128:132] != b"DICM":
        notes = _check_bare(start, name)
    watched = _Watched(stream)

    def parse() -> Dataset:
        return pydicom.dcmread(watched, stop_before_pixels=not pixels, force=True)

    dataset = guarded(parse, name)
    if watched.cut and not pixels:
        raise UnreadableError(
            f"{name} is cut short", "its data set ends early, inside an element", "copy it again", code="truncated"
        )
    if not notes and not syntax_of(dataset):
        raise UnreadableError(
            f"{name} names no transfer syntax",
            "its file meta information lacks (0002,0010), so nobody can know how the pixels are written",
            "send it again from the archive",
            code="no-transfer-syntax",
        )
    return dataset, watched.tell(), notes


def _check_bare(start: bytes, name: str) -> tuple[str, ...]:
    order = _bare(start)
    if order == "big":
        raise UnreadableError(
            f"{name} has no preamble and is big endian",
            "without file meta information the byte order can only be guessed",
            "send it again from the archive as a DICOM file",
            code="no-preamble-big-endian",
        )
    if not order:
        kind = (
            "a gzip file, not DICOM: its content has to be unpacked first"
            if start[:2] == b"\x1f\x8b"
            else "without the DICM mark and does not begin with an element"
        )
        raise UnreadableError(
            f"{name} is no DICOM file", f"it is {kind}", "unpack or convert it first", code="not-dicom"
        )
    return ("no-preamble: no preamble and no file meta information; the encoding was taken from the first element",)


def guarded(work: Callable[[], T], name: str) -> T:
    """Run `work` on a data set and turn what damage raises into an UnreadableError."""
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            return work()
    except RecursionError as error:
        raise LimitError(f"{name} nests sequences too deeply", code="limit-header-depth") from error
    except DATASET_ERRORS as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UnreadableError(
            f"{name} is damaged", reason, "copy it again from its source", code="bad-header"
        ) from error


def syntax_of(dataset: Dataset) -> str:
    """Return the UID of the transfer syntax, "" where none is named."""
    return str(getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID", ""))


def uid_name(uid: str) -> str:
    """Return the name of a DICOM UID, or the UID itself."""
    return UID(uid).name if uid else ""


def guessed_syntax(d: Dataset) -> str:
    """Return the native transfer syntax in which a data set without file meta information was read."""
    implicit, little = d.original_encoding
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


@cache
def _tag(keyword: str) -> BaseTag:
    number = tag_for_keyword(keyword)
    if number is None:
        raise LookupError(keyword)
    return BaseTag(number)


def value_of(d: Dataset, keyword: str) -> Any:
    """Return an element's value or None; by tag, which takes half the time that pydicom needs by name."""
    try:
        return d[_tag(keyword)].value
    except KeyError:
        return None


def number_of(d: Dataset, key: str, default: Any, kind: Callable[[Any], Any]) -> Any:
    """Return the first value as a number, `default` where there is none. Raises ValueError that names a damaged element."""
    value: Any = value_of(d, key)
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    try:
        return default if value in (None, "") else kind(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{key} is {str(value)[:40]!r}, which is no number") from error
