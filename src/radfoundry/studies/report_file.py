"""Report text from files: .txt, Open-i XML, JSON, DICOM SR. Text is data: nothing in it is followed or run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from radfoundry.errors import UnreadableError
from radfoundry.studies.containers import read_file
from radfoundry.studies.dicom import is_dicom
from radfoundry.studies.limits import Limits
from radfoundry.studies.structured_report import report_text
from radfoundry.studies.xml_tree import local_name, parse_xml

__all__ = ["read_report", "report_path"]

_ENDINGS = (".txt", ".md", ".xml", ".json", ".dcm", ".sr", "")
# keys under which a JSON report keeps its parts, in reading order
_SECTIONS = ("technique", "indication", "history", "comparison", "findings", "impression")
_WHOLE = ("report", "report_text", "text")


def report_path(folder: Path, cell: str) -> Path | None:
    """Return the file that a cell of a table names, or None where the cell is the report itself."""
    if len(cell) > 1000 or "\n" in cell or Path(cell).suffix.lower() not in _ENDINGS:
        return None
    path = folder / cell
    try:
        found = path.is_file()
    except (OSError, ValueError):
        return None
    # a cell that looks like a path but names no file is a mistake, not a report of one word
    if not found and " " not in cell and Path(cell).suffix.lower() in (".txt", ".xml", ".json", ".dcm"):
        raise UnreadableError(
            f"the report {cell} does not exist", "paths are relative to the table", "correct it", code="missing-file"
        )
    return path if found else None


def read_report(path: Path, limits: Limits) -> str:
    """Return the text of a report file; sections of structured files become lines `NAME: text`. Raises UnreadableError, LimitError."""
    data = read_file(path, limits)
    if is_dicom(data[:132]):
        return report_text(io.BytesIO(data), path.name)
    limits.check("text_bytes", len(data), path.name)
    match path.suffix.lower():
        case ".xml":
            return _from_xml(parse_xml(data, path.name, limits), path.name)
        case ".json":
            return _from_json(data, path.name)
        case _:
            return _decoded(data)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        # every byte has a meaning in Latin-1, so nothing is lost
        return data.decode("latin-1").strip()


def _from_xml(root: Element, name: str) -> str:
    """Open-i: `AbstractText Label="FINDINGS"`; any other file: all its text."""
    parts = []
    for element in root.iter():
        text = (element.text or "").strip()
        if local_name(element) == "AbstractText" and text:
            label = element.get("Label", "").strip()
            parts.append(f"{label}: {text}" if label else text)
    if parts or any(local_name(e) == "AbstractText" for e in root.iter()):
        return "\n".join(parts)
    return "\n".join(piece.strip() for piece in root.itertext() if piece.strip())


def _from_json(data: bytes, name: str) -> str:
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{name} is broken JSON", str(error)[:200], "write it again", code="bad-json") from error
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        lower = {str(k).lower(): v for k, v in value.items() if isinstance(v, str) and v.strip()}
        for key in _WHOLE:
            if key in lower:
                return lower[key].strip()
        parts = [f"{key.upper()}: {lower[key].strip()}" for key in _SECTIONS if key in lower]
        if parts:
            return "\n".join(parts)
    raise UnreadableError(
        f"{name} holds no report",
        f"none of its keys is {', '.join(_WHOLE + _SECTIONS)}",
        "rename the keys",
        code="no-report",
    )
