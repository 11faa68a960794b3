"""`--table`: one CSV, a row an image, is enough to take in a cohort.

Columns: image, report, patient, mask; optional study, prior, split, licence, labels, source, modality, view, body_part, age, sex.
Paths are relative to the CSV; `report` is a text or a path. Rows that name one study become one study; without the column each row
is a study of its own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from radfoundry.errors import RowError, UnreadableError, UsageError
from radfoundry.records import Rejected
from radfoundry.studies.containers import read_file
from radfoundry.studies.limits import Limits
from radfoundry.studies.report_file import read_report, report_path
from radfoundry.studies.sources import ImageSource, MaskSource, StudySource

__all__ = ["Row", "read_rows", "table_studies"]

_COLUMNS = ("image", "report", "patient", "mask", "study", "prior", "split", "licence", "labels", "source", "modality", "view", "body_part",
            "age", "sex")  # fmt: skip
# rows that are equal in these are one row, whatever patient each claims
_CONTENT = ("image", "report", "mask", "labels", "study")
_SPLITS = {"": "", "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
           "dev": "validation", "test": "test", "testing": "test"}  # fmt: skip

Sources = Callable[[Path], tuple[ImageSource, ...]]


@dataclass(frozen=True)
class Row:
    """A line of the table; `line` counts from 2, as an editor shows it."""

    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


@dataclass
class _Draft:
    """A study while its rows come in."""

    row: Row
    images: list[ImageSource] = field(default_factory=list)
    masks: list[MaskSource] = field(default_factory=list)
    report: str | None = None
    report_path: Path | None = None


def read_rows(table: Path, limits: Limits) -> list[Row]:
    """Return the rows of a CSV or TSV. Raises UsageError for a table that is none."""
    text = _decoded(read_file(table, limits), table)
    delimiter = "\t" if table.suffix.lower() == ".tsv" else _delimiter(text)
    csv.field_size_limit(limits.text_bytes)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        known = [name for name in header if name in _COLUMNS]
        if "image" not in known and "report" not in known:
            raise UsageError(
                f"{table.name} is no study table",
                f"its columns are {', '.join(header[:12]) or 'none'}; at least `image` or `report` is needed",
                "name the columns image, report, patient, mask",
            )
        if len(set(known)) < len(known):
            raise UsageError(f"{table.name} has a column twice", ", ".join(sorted(known)), "keep one of them")
        rows: list[Row] = []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                limits.check("table_rows", len(rows) + 1, table.name)
                rows.append(
                    Row(reader.line_num, {n: c.strip() for n, c in zip(header, cells, strict=False) if n in _COLUMNS})
                )
    except csv.Error as error:
        raise UsageError(
            f"{table.name} is no CSV", str(error), "quote fields that hold commas or line breaks"
        ) from error
    return rows


def _decoded(data: bytes, table: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{table.name} is not UTF-8", str(error), "save it as UTF-8") from error


def _delimiter(text: str) -> str:
    head = text.split("\n", 1)[0]
    return max(",;\t", key=head.count)


def table_studies(table: Path, sources: Sources, limits: Limits) -> tuple[list[StudySource], list[Rejected]]:
    """Return the studies that a table names. `sources` says what images a path holds."""
    drafts: dict[str, _Draft] = {}
    problems: list[Rejected] = []
    seen: set[tuple[str, ...]] = set()
    for row in read_rows(table, limits):
        where = f"{table.name}:{row.line}"
        content = tuple(row[column] for column in _CONTENT)
        if content in seen:
            problems.append(
                _problem(
                    where,
                    UnreadableError(
                        "the row repeats an earlier one", "image, report, mask and study are equal", code="repeated-row"
                    ),
                )
            )
            continue
        seen.add(content)
        try:
            _add(drafts, row, table, sources, limits)
        except RowError as error:
            problems.append(_problem(where, error))
    _drop_empty(drafts, problems)
    return [_study(key, draft) for key, draft in sorted(drafts.items())], problems


def _problem(key: str, error: RowError) -> Rejected:
    reason = f"{error.what}: {error.why}" if error.why else error.what
    return Rejected(key, "discover", type(error).__name__, error.code, reason, error.mend)


def _add(drafts: dict[str, _Draft], row: Row, table: Path, sources: Sources, limits: Limits) -> None:
    if row["split"].lower() not in _SPLITS:
        raise UnreadableError(f"`{row['split']}` is no split", "known are train, validation, test", code="bad-split")
    images = [_told(image, row) for image in sources(_path(table, row["image"]))] if row["image"] else []
    masks = [_mask(table, row, sources)] if row["mask"] else []
    text, path = _report(table, row["report"], limits)
    key = row["study"] or _fresh(drafts, row["image"] or row["report"][:40] or f"row {row.line}")
    draft = drafts.setdefault(key, _Draft(row))
    start = len(draft.images)
    draft.images += images
    draft.masks += [MaskSource(start, mask, _labels(table, row)) for mask in masks]
    if text is not None and draft.report not in (None, text):
        raise UnreadableError(
            f"study {key} has two reports", "the first was kept", "put one report in its rows", code="two-reports"
        )
    if text is not None:
        draft.report, draft.report_path = text, path


def _told(image: ImageSource, row: Row) -> ImageSource:
    return ImageSource(image.path, image.kind, image.files, image.member, row["modality"].upper(), row["view"].lower())


def _fresh(drafts: dict[str, _Draft], base: str) -> str:
    key, number = base, 2
    while key in drafts:
        key, number = f"{base} ({number})", number + 1
    return key


def _path(table: Path, cell: str) -> Path:
    path = table.parent / cell
    if not path.exists():
        raise UnreadableError(
            f"{cell} does not exist", "paths are relative to the table", "correct the path", code="missing-file"
        )
    return path


def _mask(table: Path, row: Row, sources: Sources) -> ImageSource:
    from radfoundry.studies.kinds import kind_of_mask

    return kind_of_mask(_path(table, row["mask"]))


def _labels(table: Path, row: Row) -> Path | None:
    return _path(table, row["labels"]) if row["labels"] else None


def _report(table: Path, cell: str, limits: Limits) -> tuple[str | None, Path | None]:
    if not cell:
        return None, None
    path = report_path(table.parent, cell)
    return (cell, None) if path is None else (read_report(path, limits), path)


def _drop_empty(drafts: dict[str, _Draft], problems: list[Rejected]) -> None:
    for key in [key for key, draft in drafts.items() if not draft.images and draft.report is None]:
        line = drafts.pop(key).row.line
        problems.append(
            _problem(f"row {line}", UnreadableError("the row has neither image nor report", code="empty-row"))
        )


def _study(key: str, draft: _Draft) -> StudySource:
    row = draft.row
    masked = [mask.image for mask in draft.masks]
    order = sorted(range(len(draft.images)), key=lambda i: (i not in masked, i))
    place = {old: new for new, old in enumerate(order)}
    masks = sorted(
        (MaskSource(place[m.image], m.source, m.labels) for m in draft.masks if m.image in place), key=lambda m: m.image
    )
    first = masks[0] if masks else None
    return StudySource(
        key=key,
        patient_key=row["patient"] or key,
        images=tuple(draft.images[i] for i in order),
        report=draft.report,
        report_path=draft.report_path,
        mask=first.source if first else None,
        labels=first.labels if first else None,
        prior=row["prior"] or None,
        split=_SPLITS[row["split"].lower()],
        licence=row["licence"],
        source=row["source"],
        body_part=row["body_part"],
        age=row["age"],
        sex=row["sex"].upper()[:1],
        more_masks=tuple(masks[1:]),
    )
