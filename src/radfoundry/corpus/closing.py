"""The end of a build: strays swept away, twins left out, rows counted, corpus.json written. A function of the committed waves alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from radfoundry.arrow import schema_of, to_table
from radfoundry.corpus import disk, ledger
from radfoundry.corpus.about import FORMAT_VERSION, CorpusInfo
from radfoundry.corpus.duplicates import Decisions, decide
from radfoundry.corpus.pipeline import Pipeline
from radfoundry.corpus.wave import parquet_bytes
from radfoundry.records import SCHEMA_VERSION, TABLES, Rejected

__all__ = ["close_corpus"]


def close_corpus(out: Path, pipeline: Pipeline, info: CorpusInfo, problems: Sequence[Rejected]) -> dict[str, int]:
    """Write corpus.json and return the rows of each table, a key that two waves gave counted once."""
    ledger.sweep(out)
    decisions = _decisions(out)
    _commit_rejected(out, pipeline, "discovery", problems)
    _commit_rejected(out, pipeline, "duplicates", decisions.rejected)
    files = ledger.table_files(out)
    rows = {table: _count(table, paths, list(decisions.twins)) for table, paths in sorted(files.items())}
    steps = [step | {"needs": each.needs} for step, each in zip(pipeline.identity, pipeline.steps, strict=True)]
    about = {
        "format_version": FORMAT_VERSION,
        "schema_version": SCHEMA_VERSION,
        "pipeline": pipeline.name,
        "steps": steps,
        "wave_rows": pipeline.wave_rows,
        "rows": rows,
        "twins": dict(decisions.twins),
        "moved_to_train": list(decisions.moved),
        "same_image_groups": decisions.same_image_groups,
        "same_text_groups": decisions.same_text_groups,
        **_totals(out),
        **asdict(info),
    }
    disk.put(out / "corpus.json", json.dumps(about, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return rows


def _decisions(out: Path) -> Decisions:
    files = ledger.table_files(out)

    def columns(table: str, *names: str) -> pa.Table:
        data = ds.dataset(files.get(table, []), schema=schema_of(table), format="parquet").to_table(columns=list(names))
        return data.sort_by([(name, "ascending") for name in names])

    return decide(
        columns("studies", "study_id", "split"),
        columns("images", "image_id", "study_id"),
        columns("reports", "report_id", "study_id", "text"),
    )


def _commit_rejected(out: Path, pipeline: Pipeline, name: str, rows: Sequence[Rejected]) -> None:
    """Write rejected rows that belong to no wave of sources, under a manifest of their own."""
    path = f"tables/rejected/{name}.parquet"
    if not rows:
        ledger.manifest_path(out, name).unlink(missing_ok=True)
        (out / path).unlink(missing_ok=True)
        return
    data = parquet_bytes(to_table("rejected", rows))
    manifest = {
        "wave": name,
        "pipeline": pipeline.name,
        "inputs": [],
        "outputs": {path: {"hash": disk.content_hash(data), "bytes": len(data)}},
        "rows": {"rejected": len(rows)},
    }
    ledger.commit(out, name, {path: data}, lambda: manifest)


def _totals(out: Path) -> dict[str, int | str]:
    whole, waves, sources, size = hashlib.blake2b(digest_size=16), 0, 0, 0
    for manifest in ledger.manifests(out):
        waves, sources = waves + 1, sources + len(manifest["inputs"])
        for name, output in sorted(manifest["outputs"].items()):
            whole.update(f"{name} {output['hash']}\n".encode())
            size += output["bytes"]
    return {"waves": waves, "sources": sources, "bytes": size, "content_hash": whole.hexdigest()}


def _count(table: str, paths: list[str], twins: list[str]) -> int:
    """Count distinct keys by their 64-bit hashes, file by file: eight bytes a row in memory, whatever the size of the corpus."""
    _, key = TABLES[table]
    hashes = np.concatenate([_key_hashes(path, key, twins) for path in paths])
    hashes.sort()
    return int(np.count_nonzero(hashes[1:] != hashes[:-1])) + (len(hashes) > 0)


def _key_hashes(path: str, key: Sequence[str], twins: list[str]) -> npt.NDArray[np.int64]:
    """A twin's images and reports are those of the study that stays, so only rows that name the twin itself go."""
    by_study = bool(twins) and "study_id" in pq.read_schema(path).names
    columns = pq.read_table(path, columns=list(dict.fromkeys([*key, *["study_id"] * by_study])), partitioning=None)
    if by_study:
        columns = columns.filter(~pc.field("study_id").isin(twins))
    rows = zip(*(columns[name].to_pylist() for name in key), strict=True)
    return np.fromiter(map(hash, rows), np.int64, columns.num_rows)
