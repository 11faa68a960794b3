"""RadGenome-Chest CT's published layout: grounded reports and five question tables as CSV, volumes and masks on an identity affine.

`read` gives the rows that a grounded-report corpus has, `read_tables` the files as they are; `breaches` says where files leave the
published row logic. What the files mean: Zhang et al., Scientific Data 2025, doi 10.1038/s41597-025-05922-9.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radfoundry.formats.radgenome.as_records import records_of
from radfoundry.formats.radgenome.from_corpus import Habits, tables_of
from radfoundry.formats.radgenome.lint import Breach, breaches
from radfoundry.formats.radgenome.tables import RadGenome, read_tables, write_tables
from radfoundry.formats.radgenome.writing import write

__all__ = [
    "Breach", "Habits", "RadGenome",
    "breaches", "read", "read_tables", "records_of", "tables_of", "write", "write_tables",
]  # fmt: skip


def read(folder: Path) -> dict[str, list[Any]]:
    """Return the rows of studies, reports, sentences, findings, links and samples that the CSV files below a folder hold."""
    return records_of(read_tables(folder))
