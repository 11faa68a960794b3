"""An older corpus in today's shape: new columns get their default, gone ones go, renamed ones move; wave by wave, killed anywhere."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from radfoundry.arrow import schema_of
from radfoundry.corpus import disk, ledger
from radfoundry.corpus.wave import parquet_bytes
from radfoundry.errors import CorpusError
from radfoundry.records import SCHEMA_VERSION, TABLES

__all__ = ["RENAMED", "conform", "migrate"]

# (table, old column) -> new column
RENAMED: dict[tuple[str, str], str] = {}


def migrate(out: Path | str) -> int:
    """Rewrite the tables of an older corpus and return how many waves changed. Raises CorpusError where a column has no default."""
    out = Path(out)
    changed = 0
    for manifest in list(ledger.manifests(out)):
        paths = [name for name in manifest["outputs"] if name.startswith("tables/") and _is_old(out / name)]
        if paths:
            _rewrite(out, manifest, paths)
            changed += 1
    about = json.loads((out / "corpus.json").read_bytes()) | {"schema_version": SCHEMA_VERSION}
    disk.put(out / "corpus.json", json.dumps(about, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return changed


def conform(table: str, data: pa.Table) -> pa.Table:
    """Return rows of an older shape in today's; what they say stays."""
    data = data.rename_columns([RENAMED.get((table, name), name) for name in data.column_names])
    return pa.Table.from_arrays([_column(table, data, field) for field in schema_of(table)], schema=schema_of(table))


def _is_old(path: Path) -> bool:
    metadata = pq.read_schema(path).metadata or {}
    return int(metadata.get(b"radfoundry.schema_version", b"0")) < SCHEMA_VERSION


def _rewrite(out: Path, manifest: dict[str, Any], paths: list[str]) -> None:
    files = {
        name: parquet_bytes(conform(name.split("/")[1], pq.read_table(out / name, partitioning=None))) for name in paths
    }
    outputs = {name: {"hash": disk.content_hash(data), "bytes": len(data)} for name, data in files.items()}
    changed = manifest | {"outputs": manifest["outputs"] | outputs}
    ledger.commit(out, manifest["wave"], files, lambda: changed)


def _column(table: str, data: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if field.name in data.column_names:
        return data[field.name].cast(field.type)
    return pa.array([_default(table, field)] * data.num_rows, field.type)


def _default(table: str, field: pa.Field) -> Any:
    row_class, _ = TABLES[table]
    declared = next(f for f in dataclasses.fields(row_class) if f.name == field.name)
    if declared.default is not dataclasses.MISSING:
        return declared.default
    if field.nullable:
        return None
    raise CorpusError(
        f"{table}.{field.name} cannot be made up", "older rows lack it and it has no default", "build the corpus again"
    )
