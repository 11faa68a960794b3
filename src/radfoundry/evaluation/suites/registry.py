"""Suites by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from radfoundry.errors import UsageError
from radfoundry.evaluation.suites import m3d, medmnist, radbench, slake, vqa_rad
from radfoundry.evaluation.suites.suite import Suite

__all__ = ["SUITES", "open_suite"]

SUITES: dict[str, Callable[[Path, str], Suite]] = {
    module.NAME: module.load for module in (vqa_rad, slake, m3d, radbench, medmnist)
}
"""Name -> load(folder, split)."""


def open_suite(name: str, src: Path | None, split: str = "test") -> Suite:
    """Return a suite read from its folder.

    Raises UsageError for an unknown name, a missing folder, or a split without questions.
    """
    if name not in SUITES:
        raise UsageError(f"no suite {name!r}", f"there are {', '.join(SUITES)}", "radfoundry bench CORPUS for a corpus")
    if src is None or not src.exists():
        raise UsageError(
            f"bench {name} needs the benchmark's folder", f"{src} is none", f"radfoundry bench {name} FOLDER"
        )
    suite = SUITES[name](src, split)
    if not suite.task.items:
        raise UsageError(f"no questions in the {split} split of {name}", f"in {src}", "--split test")
    return suite
