"""A small synthetic pipeline for the engine's tests: importable by worker processes, every table a function of the source alone."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radfoundry.corpus import Pipeline, encode_labelmap, labelmap_name, split_of
from radfoundry.errors import MachineError, UnreadableError
from radfoundry.geometry import Grid
from radfoundry.ids import make_id
from radfoundry.protocols import Batch, Needs
from radfoundry.records import Image, MadeBy, Part, Region, Report, Sample, Section, Study, Turn


@dataclass(frozen=True)
class ToySource:
    """A study that exists as its key only. `fault` is what goes wrong with it: "", row, bug, machine, kill, full."""

    key: str
    fault: str = ""
    licence: str = "CC-BY-4.0"
    content: str = ""

    @property
    def seed(self) -> int:
        """A number that follows from the content."""
        return int.from_bytes(hashlib.sha256((self.content or self.key).encode()).digest()[:4], "big")


def toys(count: int, faults: Mapping[str, str] | None = None) -> list[ToySource]:
    """Return `count` sources, some with faults by key."""
    return [ToySource(f"study-{i:04d}", (faults or {}).get(f"study-{i:04d}", "")) for i in range(count)]


class ToyStep:
    """What the toy steps share."""

    version = "1"
    needs: Needs = "cpu"
    reads: tuple[str, ...] = ()
    fills: tuple[str, ...] = ()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}


class ReadToys(ToyStep):
    """Makes a study, an image with pixels, and a report of each source; shows each kind of fault. `pause_s` slows it down."""

    name = "read"
    reads = ("sources",)
    fills = ("studies", "images", "reports")

    def __init__(self, pause_s: float = 0.0, once: str = "") -> None:
        self.pause_s, self.once = pause_s, once

    def run(self, batch: Batch) -> Batch:
        made = Batch()
        for source in batch.table("sources"):
            time.sleep(self.pause_s)
            self._suffer(source)
            self._read(source, made)
        return made

    def _suffer(self, source: ToySource) -> None:
        if source.fault == "row":
            raise UnreadableError(
                "the file is cut short", f"{source.key} ends early", "copy it again", code="truncated"
            )
        if source.fault == "bug":
            raise ZeroDivisionError("a step divides by nothing")
        if source.fault == "machine":
            raise MachineError("the network is down")
        if source.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if source.fault == "kill-once" and not os.path.exists(self.once):
            Path(self.once).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _read(self, source: ToySource, made: Batch) -> None:
        rng = np.random.default_rng(source.seed)
        study_id = make_id("study", source.key)
        patient = make_id("patient", source.key)
        split = split_of("salt", patient)
        pixels = rng.integers(-1000, 1000, (4, 6, 8), dtype=np.int16)
        grid = Grid.axial((4, 6, 8), (2.0, 1.0, 1.0))
        image_id = make_id("image", pixels)
        text = f"FINDINGS: There is a nodule of {source.seed % 30} mm in toy {source.seed}."
        made.add("studies", Study(study_id, patient, ("CT",), split=split, licence=source.licence, source=source.key))
        made.add(
            "images",
            Image(
                image_id, study_id, "CT", 3, grid.shape, grid.spacing, grid.origin, grid.direction, "mm", "HU", "volume"
            ),
        )
        made.add(
            "reports", Report(make_id("report", text), study_id, "en", text, (Section("findings", 10, len(text)),))
        )
        made.arrays[image_id] = pixels


class SegmentToys(ToyStep):
    """Makes a label map and a region of each image."""

    name = "segment"
    reads = ("images",)
    fills = ("regions",)

    def __init__(self, threshold: int = 0) -> None:
        self.threshold = threshold

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"threshold": self.threshold}

    def run(self, batch: Batch) -> Batch:
        made = Batch()
        for image in batch.table("images"):
            labels = (batch.arrays[image.image_id] > self.threshold).astype(np.uint8)
            made.files[labelmap_name(image.image_id, "toy")] = encode_labelmap(labels, image.grid)
            region_id = make_id("region", image.image_id, "toy", 1)
            by = MadeBy(self.name, self.version)
            made.add(
                "regions",
                Region(region_id, image.image_id, "toy", "none", "toy", 1, int(labels.sum()), 2.0 * int(labels.sum()),
                       (0, 0, 0, 4, 6, 8), (0.0, 0.0, 0.0), 0.0, 1.0, by),
            )  # fmt: skip
        return made


class AskToys(ToyStep):
    """Makes a sample of each study."""

    name = "ask"
    reads = ("studies",)
    fills = ("samples",)

    def run(self, batch: Batch) -> Batch:
        made = Batch()
        for study in batch.table("studies"):
            turns = (Turn("user", (Part("text", "What is it?"),)), Turn("assistant", (Part("text", "A toy."),)))
            made.add(
                "samples",
                Sample(make_id("sample", study.study_id), study.study_id, (), "chat", turns, "open", (), (), (), (),
                       study.split, study.licence, MadeBy(self.name, self.version)),
            )  # fmt: skip
        return made


def toy_pipeline(
    wave_rows: int = 4, pause_s: float = 0.0, once: str = "", extra: Sequence[ToyStep] = (), batch_rows: int = 3
) -> Pipeline:
    """Return the three toy steps, and more if asked."""
    return Pipeline("toys", [ReadToys(pause_s, once), SegmentToys(), AskToys(), *extra], wave_rows, batch_rows)


def content(out: Path) -> dict[str, bytes]:
    """Return every byte of a corpus that must not depend on how it was built: all but manifests and lock."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.parent.name != "waves" and path.name != ".lock"
    }


class GpuToys(ToyStep):
    """Fails where two processes are inside it at once."""

    name = "gpu"
    needs: Needs = "gpu"

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def run(self, batch: Batch) -> Batch:
        inside = os.open(Path(self.folder) / "inside", os.O_CREAT | os.O_EXCL)
        time.sleep(0.02)
        os.close(inside)
        os.unlink(Path(self.folder) / "inside")
        return Batch()
