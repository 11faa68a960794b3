"""M3D's rows as rows of a corpus: studies, images, reports and samples with ids that follow from what the lists say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from radfoundry.errors import UnreadableError
from radfoundry.formats.m3d.rows import CaptionRow, M3DData, QuestionRow, ReferringRow
from radfoundry.formats.m3d.texts import NO_CHOICE
from radfoundry.ids import make_id, normalised_text
from radfoundry.language import parse_report
from radfoundry.records import Image, MadeBy, Part, Report, Sample, Section, Study, Turn

__all__ = ["records_of"]

_TASKS = {1: "plane", 2: "phase", 3: "organ", 4: "abnormality", 5: "location"}
_REFERRING = {0: "refer-segment", 1: "reason-segment"}


def records_of(data: M3DData) -> dict[str, list[Any]]:
    """Return studies, images, reports and samples. Masks stay files: a sample that asks for one says which in its `made_by`.

    A study is an image; an image that we wrote keeps its id. Spacing and sides are not stored: grids are in pixels.
    """
    studies: dict[str, Study] = {}
    images: dict[str, Image] = {}
    reports: dict[str, Report] = {}
    samples: list[Sample] = []
    for row, sample in _samples(data):
        samples.append(sample)
        split = sample.split
        studies.setdefault(
            sample.study_id, Study(sample.study_id, _patient(row.image), ("CT",), split=split, source="M3D")
        )
        if row.image.is_file():
            images.setdefault(sample.image_ids[0], _image(row.image, sample))
        if isinstance(row, CaptionRow):
            reports.setdefault(sample.study_id, _report(row.text, sample.study_id))
    return {
        "studies": list(studies.values()),
        "images": list(images.values()),
        "reports": list(reports.values()),
        "samples": samples,
    }


def _samples(data: M3DData) -> Iterator[tuple[CaptionRow | QuestionRow | ReferringRow, Sample]]:
    for caption in data.captions:
        split = "test" if "test" in caption.split else caption.split
        yield caption, _sample(caption.image, "report", "", caption.text, split, "open", (), "M3D_Cap")
    for q in data.questions:
        choices = tuple(c for c in q.choices if c != NO_CHOICE)
        kind = "closed" if q.yes_no else "choice" if choices else "open"
        yield q, _sample(q.image, _TASKS[q.kind], q.question, q.answer, q.split, kind, choices, "M3D_VQA")
    for r in data.referring:
        words, source = r.answer.replace("[SEG]", "").strip(), f"M3D_RefSeg {r.mask.name}={r.mask_id}"
        yield r, _sample(r.image, _REFERRING[r.kind], r.question, words, r.split, "mask", (), source)


def _sample(
    image: Path, task: str, question: str, answer: str, split: str, kind: str, choices: Iterable[str], source: str
) -> Sample:
    image_id = _image_id(image)
    study_id = make_id("study", "m3d", _patient(image), image_id)
    shown = (Part("image", ref=image_id), *((Part("text", question),) if question else ()))
    turns = (Turn("user", shown), Turn("assistant", (Part("text", answer),)))
    made_id = make_id("sample", study_id, task, question, answer, source)
    return Sample(
        made_id, study_id, (image_id,), task, turns, kind, tuple(choices), (), (), (image_id,), split, "",
        MadeBy("m3d", "1", "", source),
    )  # fmt: skip


def _image_id(path: Path) -> str:
    """Return the id of an image that we wrote, else one of its place."""
    return path.stem if path.stem.startswith("img_") else make_id("image", *path.parts[-4:])


def _patient(image: Path) -> str:
    """M3D names cases, not patients: the same case number in ct_case and ct_quizze is taken for one patient."""
    return make_id("patient", "m3d", image.parent.name)


def _image(path: Path, sample: Sample) -> Image:
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape[-3:]
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableError(f"{path.name} is no array", str(error), "prepare the case again") from error
    return Image(
        sample.image_ids[0], sample.study_id, "CT", 3, tuple(shape), (1.0,) * 3, (0.0,) * 3,
        (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), "pixel", path=path.as_posix(),
    )  # fmt: skip


def _report(text: str, study_id: str) -> Report:
    parsed = parse_report(text)
    sections = tuple(Section(name, start, end) for name, (start, end) in parsed.sections.items())
    return Report(make_id("report", normalised_text(text)), study_id, "en", text, sections)
