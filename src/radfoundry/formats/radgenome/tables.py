"""The six CSV files a split as they are: typed rows in file order, read by their columns and written with the published names."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from radfoundry.errors import UnreadableError, UsageError
from radfoundry.formats.radgenome.paths import NO_FINDINGS

__all__ = [
    "FOLDER", "SPLITS", "AbnormalityRow", "DisorderRow", "PresenceRow", "RadGenome", "ReportRow", "SizeRow",
    "joined", "listed", "mask_folder", "patient_of", "read_tables", "split_of_volume", "volume_folder", "write_tables",
]  # fmt: skip

FOLDER = "radgenome_files"
SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""The first word of a volume's name -> our split, which is the first word of its files' names. Published are the first two."""
_LONGEST_CELL = 1_000_000


class ReportRow(NamedTuple):
    """All sentences about one region of one volume, joined by single spaces; `anatomy` "" is the whole volume."""

    volume: str
    anatomy: str
    sentence: str


class AbnormalityRow(NamedTuple):
    """The findings of one region, a comma list or "no findings"; location rows are those with findings."""

    volume: str
    anatomy: str
    abnormality: str


class PresenceRow(NamedTuple):
    """What is ("Yes.") or is denied ("No.") in one region: a comma list."""

    volume: str
    anatomy: str
    finding: str
    presence: str


class SizeRow(NamedTuple):
    """How large a finding is, as the report wrote it."""

    volume: str
    anatomy: str
    abnormality: str
    size: str


class DisorderRow(NamedTuple):
    """What the impression of a volume names: a comma list or "no findings"."""

    volume: str
    disorders: str


@dataclass(frozen=True)
class RadGenome:
    """The rows of any number of splits; a volume's name says its split."""

    region_report: tuple[ReportRow, ...] = ()
    vqa_presence: tuple[PresenceRow, ...] = ()
    vqa_abnormality: tuple[AbnormalityRow, ...] = ()
    vqa_location: tuple[AbnormalityRow, ...] = ()
    vqa_size: tuple[SizeRow, ...] = ()
    case_disorders: tuple[DisorderRow, ...] = ()

    @property
    def volumes(self) -> tuple[str, ...]:
        """Every volume that has a row, in the order of its name."""
        return tuple(sorted({row.volume for field in fields(self) for row in getattr(self, field.name)}))

    def reports(self) -> dict[str, dict[str, str]]:
        """Return volume -> path -> text as the published readers do: of rows with the same path the last one counts."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for row in self.region_report:
            found[row.volume][row.anatomy] = row.sentence
        return dict(found)


_COLUMNS: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "region_report": (ReportRow, ("Volumename", "Anatomy", "Sentence")),
    "vqa_presence": (PresenceRow, ("Volumename", "Anatomy", "Finding", "Presence")),
    "vqa_abnormality": (AbnormalityRow, ("Volumename", "Anatomy", "Abnormality")),
    "vqa_location": (AbnormalityRow, ("Volumename", "Anatomy", "Abnormality")),
    "vqa_size": (SizeRow, ("Volumename", "Anatomy", "Abnormality", "Size")),
    "case_disorders": (DisorderRow, ("Volumename", "Disorders")),
}


def listed(cell: str) -> tuple[str, ...]:
    """Return the findings of a comma list; none for "no findings"."""
    return () if cell.strip() == NO_FINDINGS else tuple(part for part in (p.strip() for p in cell.split(", ")) if part)


def joined(findings: Iterable[str]) -> str:
    """Return findings as a comma list; "no findings" for none."""
    return ", ".join(findings) or NO_FINDINGS


def split_of_volume(volume: str) -> str:
    """Return the split that a volume's name says. Raises UnreadableError for a name of another kind."""
    first, *rest = volume.removesuffix(".nii.gz").split("_")
    if first not in SPLITS or len(rest) != 3:
        raise UnreadableError(
            f"{volume!r} is no RadGenome volume", "names are like valid_53_a_1.nii.gz", "check the column Volumename"
        )
    return SPLITS[first]


def patient_of(volume: str) -> str:
    """Return a volume's patient: the first two parts of its name."""
    return "_".join(volume.removesuffix(".nii.gz").split("_")[:2])


def volume_folder(volume: str) -> str:
    """Return where a preprocessed volume lies below the data folder; there is no "_" before the scan's letter."""
    split, patient, scan, _ = volume.removesuffix(".nii.gz").split("_")
    return f"{split}_preprocessed/{split}_{patient}/{split}_{patient}{scan}"


def mask_folder(volume: str, kind: str) -> str:
    """Return the folder of a volume's masks below the data folder; kind: "region" (ten heads) or "anatomy" (nodes)."""
    name = volume.removesuffix(".nii.gz")
    return f"{name.split('_', 1)[0]}_{kind}_mask/seg_{name}"


def read_tables(folder: Path) -> RadGenome:
    """Return every table of the layout below a folder, files in the order of their names.

    A file is known by its columns, the two tables that share theirs by "location" in the name; CSV files of other kinds are passed
    over. Raises UsageError where there is none, UnreadableError for a row of the wrong length.
    """
    found: dict[str, list[Any]] = defaultdict(list)
    for path in sorted(folder.rglob("*.csv")):
        table = _table_of(path)
        if table:
            found[table] += _rows(path, *_COLUMNS[table])
    if not found:
        raise UsageError(
            f"no RadGenome tables in {folder}",
            "no CSV file has their columns",
            "give the folder of *_region_report.csv",
        )
    return RadGenome(**{table: tuple(rows) for table, rows in found.items()})


def _table_of(path: Path) -> str | None:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = tuple(next(csv.reader(stream), ()))
    named = [table for table, (_, columns) in _COLUMNS.items() if columns == header]
    return next((table for table in named if ("location" in path.name) == (table == "vqa_location")), None)


def _rows(path: Path, kind: type, columns: Sequence[str]) -> Iterator[Any]:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream)
        next(lines)
        try:
            for cells in lines:
                yield kind(*cells)
        except (TypeError, csv.Error, UnicodeDecodeError) as error:
            raise UnreadableError(
                f"line {lines.line_num} of {path.name} is no row of {', '.join(columns)}", str(error), "mend the file"
            ) from error


def write_tables(data: RadGenome, folder: Path) -> list[Path]:
    """Write `<split>_<table>.csv` for each split that has volumes into `folder`, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for split in sorted({split_of_volume(volume) for volume in data.volumes}):
        for table, (_, columns) in _COLUMNS.items():
            rows = [row for row in getattr(data, table) if split_of_volume(row.volume) == split]
            path = folder / f"{split}_{table}.csv"
            path.write_text(_as_csv(columns, rows), encoding="utf-8", newline="")
            written.append(path)
    return written


def _as_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(columns)
    out.writerows(rows)
    return text.getvalue()
