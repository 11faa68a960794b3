"""DICOM SR: the content tree as lines of text, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from radfoundry.errors import UnreadableError
from radfoundry.studies.dicom import guarded, read_dataset

__all__ = ["report_text"]


def report_text(stream: BinaryIO, name: str) -> str:
    """Return `Name: value` lines for texts, codes, numbers with units, and dates; containers give a heading.

    People, UIDs and image references are left out. Raises UnreadableError where the object has no content.
    """
    dataset, _, _ = read_dataset(stream, name)
    if "ContentSequence" not in dataset:
        raise UnreadableError(f"{name} is no structured report", "it has no content", code="no-report")
    lines: list[str] = guarded(lambda: list(_lines(dataset.ContentSequence)), name)
    return "\n".join(lines)


def _lines(items: Any) -> Iterator[str]:
    for item in items:
        heading = _meaning(item.get("ConceptNameCodeSequence"))
        value = _value(item)
        if value:
            yield f"{heading}: {value}" if heading else value
        elif item.get("ValueType") == "CONTAINER" and heading:
            yield f"{heading}:"
        yield from _lines(item.get("ContentSequence") or ())


def _value(item: Any) -> str:
    match item.get("ValueType"):
        case "TEXT":
            return " ".join(str(item.get("TextValue") or "").split())
        case "CODE":
            return _meaning(item.get("ConceptCodeSequence"))
        case "NUM":
            measured = (item.get("MeasuredValueSequence") or [None])[0]
            if measured is None:
                return ""
            codes = measured.get("MeasurementUnitsCodeSequence")
            unit = str(codes[0].get("CodeValue") or "") if codes else ""
            return f"{measured.get('NumericValue')} {unit}".strip()
        case "DATE":
            return str(item.get("Date") or "")
        case _:
            return ""


def _meaning(codes: Any) -> str:
    return str(codes[0].get("CodeMeaning") or "").strip() if codes else ""
