"""What several commands open: studies under a path, an engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radfoundry.errors import UsageError

if TYPE_CHECKING:
    from radfoundry.corpus.runners import Runner
    from radfoundry.studies import Discovery, StudySource

__all__ = ["common_root", "engine_runner", "found_studies", "on_disk"]


def on_disk(src: Path, keep: Path) -> Path:
    """Return a place on disk: `src` itself, or where it is the address of a DICOMweb server, `keep` with its studies fetched.

    What was fetched before is not fetched again.
    """
    from radfoundry.studies.dicomweb import DicomWeb, fetch_studies

    server = DicomWeb.at(src)
    if server is None:
        return src
    fetch_studies(server, keep)
    return keep


def found_studies(src: Path, table: Path | None = None) -> Discovery:
    """Return the studies under a path. Raises UsageError where there are none."""
    from radfoundry.studies import discover

    if not src.exists():
        raise UsageError(f"there is no {src}", "the path does not exist", "check the spelling")
    found = discover(src, table)
    if not found.studies:
        raise UsageError(
            f"no studies in {src}", f"{len(found.problems)} files could not be used", f"radfoundry doctor {src}"
        )
    return found


def common_root(studies: Sequence[StudySource]) -> Path:
    """Return the deepest folder that holds every image: paths in a corpus are below it."""
    parents = {str(image.path.resolve().parent) for study in studies for image in study.images}
    return Path(os.path.commonpath(parents)) if parents else Path.cwd()


def engine_runner(engine: str, workers: int | None) -> Runner | None:
    """Return the runner of `--engine`; None for the local default. Raises UsageError for another word."""
    if engine == "local":
        return None
    if engine == "ray" or engine.startswith("ray://"):
        from radfoundry.corpus.runners.ray import RayRunner

        return RayRunner(workers, engine.removeprefix("ray").removeprefix("://") or None)
    raise UsageError(f"no engine {engine!r}", "there are local and ray[://address]", "radfoundry build --help")
