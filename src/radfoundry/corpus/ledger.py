"""The ledger: one manifest a finished wave. A wave is done when its manifest is there; everything else can be thrown away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from radfoundry.corpus import disk
from radfoundry.errors import CorpusError

__all__ = ["STAGING", "commit", "manifest_path", "manifests", "read_manifest", "sweep", "table_files"]

STAGING = ".staging"
_OWNED = ("tables", "labelmaps")


def manifest_path(out: Path, wave: str) -> Path:
    """Return where a wave's manifest lies."""
    return out / "waves" / f"{wave}.json"


def read_manifest(out: Path, wave: str) -> dict[str, Any]:
    """Return a wave's manifest. Raises CorpusError for one that cannot be read."""
    path = manifest_path(out, wave)
    try:
        return dict(json.loads(path.read_bytes()))
    except ValueError as error:
        raise CorpusError(
            f"{path} is not a manifest", str(error), "delete it and build again: its wave is redone"
        ) from error


def manifests(out: Path) -> Iterator[dict[str, Any]]:
    """Yield all manifests in the order of the waves' names."""
    for path in sorted((out / "waves").glob("*.json")):
        yield read_manifest(out, path.stem)


def table_files(out: Path) -> dict[str, list[str]]:
    """Return each table's committed files in the order of the waves."""
    files: dict[str, list[str]] = {}
    for manifest in manifests(out):
        for name in manifest["outputs"]:
            if name.startswith("tables/"):
                files.setdefault(name.split("/")[1], []).append(str(out / name))
    return files


def commit(out: Path, wave: str, files: Mapping[str, bytes], manifest: Callable[[], Mapping[str, Any]]) -> None:
    """Put a wave's files in place, then its manifest: only this last rename makes the wave exist.

    manifest is asked for when the files are safe, so that its times hold what writing them cost.
    """
    path = manifest_path(out, wave)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if _same(read_manifest(out, wave), manifest()):
            return  # a worker of a killed build came late; what it made is there already
        disk.remove(path)  # from here to the end of this function the wave counts as not done
    disk.put_all(out, files, out / STAGING)
    # an item a line, but not `indent`: with that the encoder is Python's, ten times slower
    disk.put(
        path, json.dumps(manifest(), separators=(",\n", ": "), sort_keys=True, ensure_ascii=False).encode() + b"\n"
    )


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(part) == other.get(part) for part in ("fingerprint", "steps", "outputs"))


def sweep(out: Path) -> int:
    """Delete what no manifest lists (left by a killed build) and return how many files that were."""
    shutil.rmtree(out / STAGING, ignore_errors=True)
    listed = {name for manifest in manifests(out) for name in manifest["outputs"]}
    stray = [path for top in _OWNED for path in (out / top).rglob("*") if path.is_file()]
    stray = [path for path in stray if path.relative_to(out).as_posix() not in listed]
    stray += list((out / "waves").glob(".*"))
    for path in stray:
        path.unlink()
    return len(stray)
