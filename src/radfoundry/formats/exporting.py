"""A corpus out of the house: rows that a use allows, into a published layout, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radfoundry.corpus import combined, for_use, licence_counts
from radfoundry.corpus.disk import machine_faults
from radfoundry.errors import UsageError
from radfoundry.formats.progress import Tell, silent

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus
    from radfoundry.corpus.licences import Use

__all__ = ["FORMATS", "Exported", "export_corpus", "layout"]

FORMATS = ("radgenome", "m3d", "llava", "jsonl")


@dataclass(frozen=True)
class Exported:
    """What an export wrote, what it left out, and under which terms; `export.json` holds the same."""

    format: str
    folder: str
    uses: tuple[str, ...]
    counts: Mapping[str, int]
    licence: str
    studies_by_licence: Mapping[str, int]
    studies_left_out: int
    corpus: str


def layout(name: str) -> Any:
    """Return the module of a layout: `write(corpus, folder, tell)` -> counts, `read(folder)` -> rows by table.

    Raises UsageError for an unknown name.
    """
    if name not in FORMATS:
        raise UsageError(f"no format {name!r}", f"there are {', '.join(FORMATS)}", "radfoundry export --help")
    return import_module(f"radfoundry.formats.{name}")


def export_corpus(
    corpus: Corpus, name: str, folder: Path, uses: Sequence[Use] = ("research",), tell: Tell = silent
) -> Exported:
    """Write a corpus in a layout into a folder that is empty or not there; killed or failed, the folder stays as it was.

    uses: what the export is for; studies with a row whose licence forbids one of them are left out.
    Raises UsageError where the folder holds something or no row may be used so, MachineError for a full disk.
    """
    module = layout(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty", "an export never mixes with what is there", "name a new folder")
    allowed = corpus
    for use in uses:
        allowed = for_use(allowed, use)
    aside = folder.with_name(f".{folder.name}.exporting")
    with machine_faults(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            counts = module.write(allowed, aside, tell)
            done = _exported(corpus, allowed, name, folder, uses, counts)
            (aside / "export.json").write_text(json.dumps(asdict(done), indent=1, ensure_ascii=False) + "\n")
            if folder.is_dir():
                folder.rmdir()
            os.replace(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return done


def _exported(
    corpus: Corpus, allowed: Corpus, name: str, folder: Path, uses: Sequence[Use], counts: Mapping[str, int]
) -> Exported:
    licences = licence_counts(allowed)
    left_out = corpus.table("studies", columns=["study_id"]).num_rows - sum(licences.values())
    return Exported(
        name,
        folder.name,
        tuple(uses),
        dict(counts),
        combined(licences),
        licences,
        left_out,
        corpus.about["content_hash"],
    )
