"""What can be built from what was seen, and what it will cost in disk, memory and hours."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from radfoundry.studies.doctor.finding import Finding
from radfoundry.studies.read import ReadImage
from radfoundry.studies.sources import StudySource

__all__ = ["Tally", "prospects"]


@dataclass
class Tally:
    """Counts over a round."""

    studies: int = 0
    reports: int = 0
    masked: int = 0
    priors: int = 0
    patients: set[str] = field(default_factory=set)
    images: Counter[str] = field(default_factory=Counter)
    volumes: int = 0
    bytes: int = 0
    largest: int = 0

    def add_study(self, study: StudySource) -> None:
        """Count a study."""
        self.studies += 1
        self.patients.add(study.patient_key)
        self.reports += study.report is not None
        self.masked += bool(study.masks)
        self.priors += study.prior is not None

    def add_image(self, image: ReadImage) -> None:
        """Count an image that reads."""
        self.images[image.modality or "?"] += 1
        self.volumes += image.pixels.ndim == 3
        self.bytes += image.pixels.nbytes
        self.largest = max(self.largest, image.pixels.nbytes)


def prospects(tally: Tally, seconds: float, src: Path) -> Iterator[Finding]:
    """Yield what is here, which corpora it is enough for, and what they need."""
    count = sum(tally.images.values())
    kinds = ", ".join(f"{n} {name}" for name, n in sorted(tally.images.items())) or "none"
    yield Finding(
        ".",
        "info",
        "inventory",
        f"{tally.studies} studies of {len(tally.patients)} patients; images that read: {kinds}; reports {tally.reports}, "
        f"with masks {tally.masked}, with a prior {tally.priors}",
    )
    yield Finding(".", "info", "can-build", _can_build(tally, count))
    if count:
        yield from _cost(tally, count, seconds, src)


def _can_build(tally: Tally, count: int) -> str:
    possible = []
    if tally.reports and tally.volumes:
        possible += ["grounded-report", "m3d"]
    if tally.reports and count:
        possible += ["instruction"]
    if tally.reports:
        possible += ["summary"]
    if count:
        possible += ["description"]
    lacking = "" if tally.reports else "; without reports nothing that needs a text"
    return (", ".join(possible) or "nothing yet: no image reads and no report was found") + lacking


def _cost(tally: Tally, count: int, seconds: float, src: Path) -> Iterator[Finding]:
    # a label map is a byte a sample where images take two, and packs about ten to one
    disk = tally.bytes / 20
    memory = 3 * tally.largest
    free = shutil.disk_usage(src).free
    have = psutil.virtual_memory().available
    yield Finding(
        ".",
        "info",
        "resources",
        f"reading takes {seconds / count:.2f} s an image here, {seconds / 3600:.2f} h in all; "
        f"the largest needs about {memory / 1e6:.0f} MB of memory ({have / 1e9:.1f} GB free); "
        f"label maps about {disk / 1e6:.0f} MB of disk ({free / 1e9:.0f} GB free)",
    )
    if memory > have:
        yield Finding(
            ".", "error", "too-little-memory", f"the largest image needs {memory / 1e9:.1f} GB", "use a larger machine"
        )
