"""One report and a few masks through the steps that read, link and ask, without any file."""

from __future__ import annotations

import numpy as np

from radfoundry.builders.grounded_report import AskGroundedQuestions
from radfoundry.builders.steps import LinkSentences, ReadReports
from radfoundry.geometry import Grid
from radfoundry.grounding.regions import LabelledImage, measure_regions
from radfoundry.ids import make_id
from radfoundry.language import parse_report
from radfoundry.protocols import Batch
from radfoundry.records import Image, MadeBy, Report, Sample, Section, Study

LOBES = (
    "left lung upper lobe",
    "left lung lower lobe",
    "right lung upper lobe",
    "right lung middle lobe",
    "right lung lower lobe",
)
GRID = Grid.axial((12, 40, 60), (5.0, 5.0, 5.0))


def batch_of(report: str, *masks: str, lesions: dict[str, str] | None = None, split: str = "train") -> Batch:
    """Return the rows of a study; masks are drawn as blocks on their side, lesions (concept -> side) between them."""
    batch = Batch()
    batch.add("studies", Study("sty_1", "pat_1", ("CT",), split=split, licence="CC0-1.0"))
    image = Image("img_1", "sty_1", "CT", 3, GRID.shape, GRID.spacing, GRID.origin, GRID.direction, "mm", "HU")
    batch.add("images", image)
    labels, names = draw(masks, lesions or {})
    drawn = LabelledImage("img_1", np.zeros(GRID.shape, np.int16), labels, GRID, names, "masks")
    batch.add("regions", *measure_regions(drawn, MadeBy("test", "1")))
    sections = tuple(Section(name, a, b) for name, (a, b) in parse_report(report).sections.items())
    batch.add("reports", Report(make_id("report", report), "sty_1", "en", report, sections))
    batch.merge(ReadReports().run(batch))
    batch.merge(LinkSentences().run(batch))
    return batch


def draw(masks: tuple[str, ...], lesions: dict[str, str]) -> tuple[np.ndarray, dict[int, str]]:
    labels, names = np.zeros(GRID.shape, np.uint8), {}
    # something on both sides, so that the midline is known
    for value, (name, x) in enumerate([("left kidney", 40), ("right kidney", 10)], start=1):
        labels[0:2, 4:8, x : x + 8], names[value] = value, name
    for row, name in enumerate(masks):
        value = len(names) + 1
        x = 40 if name.startswith("left") else 10 if name.startswith("right") else 26
        labels[3:5, 2 + 4 * row : 5 + 4 * row, x : x + 8], names[value] = value, name
    for row, (name, side) in enumerate(lesions.items()):
        value = len(names) + 1
        x = {"left": 42, "right": 12}[side]
        labels[7:9, 2 + 5 * row : 4 + 5 * row, x : x + 2], names[value] = value, name
    return labels, names


def ask(report: str, *masks: str, lesions: dict[str, str] | None = None, split: str = "train") -> list[Sample]:
    """Return every question about a report."""
    return AskGroundedQuestions().run(batch_of(report, *masks, lesions=lesions, split=split)).table("samples")


def told(samples: list[Sample], task: str, kind: str = "") -> dict[str, str]:
    """Return question -> answer of a task."""
    return {s.turns[-2].text: s.turns[-1].text for s in samples if s.task == task and kind in ("", s.answer_kind)}
