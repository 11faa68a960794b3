"""The doctor's round: what discovery refused, then every study with its images and masks, then what can be made of it all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from radfoundry.errors import RadfoundryError
from radfoundry.studies.containers import open_container
from radfoundry.studies.dicom_header import Header, header_of
from radfoundry.studies.discover import discover
from radfoundry.studies.doctor.finding import Finding, of_error, of_note, refusal
from radfoundry.studies.doctor.intensity import intensity_findings
from radfoundry.studies.doctor.masks import mask_findings
from radfoundry.studies.doctor.prospects import Tally, prospects
from radfoundry.studies.doctor.sides import flip_findings
from radfoundry.studies.doctor.writing import writing_findings
from radfoundry.studies.limits import Limits
from radfoundry.studies.read import ReadImage, read_image
from radfoundry.studies.sources import ImageSource, StudySource

__all__ = ["doctor"]


def doctor(
    src: Path,
    table: Path | None = None,
    *,
    plausible_hu: Mapping[str, tuple[float, float]] | None = None,
    numbering: Mapping[int, str] | None = None,
    limits: Limits | None = None,
) -> Iterator[Finding]:
    """Yield findings about a folder, a file or a table.

    plausible_hu: region name -> lowest and highest plausible mean HU, for the check of labels against the image. numbering: value ->
    name for label maps without names of their own. Reads every image once; nothing is written.
    """
    bounds = limits or Limits()
    found = discover(src, table, bounds)
    base = src if src.is_dir() else src.parent
    for problem in found.problems:
        yield refusal(problem.key, problem.code, problem.reason, problem.mend)
        if problem.code == "repeated-instance":
            yield from _repeated(src, problem.key, bounds)
    tally = Tally()
    start = time.perf_counter()
    for study in found.studies:
        yield from _study(study, base, plausible_hu or {}, numbering or {}, bounds, tally)
    yield from prospects(tally, time.perf_counter() - start, src)


def _study(
    study: StudySource,
    base: Path,
    plausible_hu: Mapping[str, tuple[float, float]],
    numbering: Mapping[int, str],
    limits: Limits,
    tally: Tally,
) -> Iterator[Finding]:
    tally.add_study(study)
    for index, source in enumerate(study.images):
        path = place_of(source, base)
        try:
            image = read_image(source, limits)
        except RadfoundryError as error:
            yield of_error(path, error)
            continue
        tally.add_image(image)
        yield Finding(path, "info", "reads", _what(image))
        for note in image.notes:
            yield of_note(path, note)
        yield from intensity_findings(path, image)
        yield from flip_findings(path, image)
        yield from writing_findings(path, image, _burned_in(source, limits))
        for mask in study.masks:
            if mask.image == index:
                yield from mask_findings(
                    path, place_of(mask.source, base), mask, image, plausible_hu, numbering, limits
                )


def place_of(source: ImageSource, base: Path) -> str:
    """Return where a source lies below `base`, as a finding's path."""
    below = source.path.relative_to(base).as_posix() if source.path.is_relative_to(base) else source.path.name
    if source.files:
        inner = source.files[0] if len(source.files) == 1 else source.files[0].rpartition("/")[0]
        glue = "!" if source.path.is_file() else "/"
        below = inner if below == "." and inner else f"{below}{glue}{inner}" if inner else below
    return f"{below}#{source.member}" if source.member else below


def _what(image: ReadImage) -> str:
    shape = " x ".join(str(n) for n in image.grid.shape)
    spacing = " x ".join(f"{s:.3g}" for s in image.grid.spacing)
    size = f", {spacing} mm" if image.grid.unit == "mm" else ", size of a pixel unknown"
    unit = f", {image.unit}" if image.unit else ""
    view = f" {image.view}" if image.view else ""
    return f"{image.modality or 'unknown modality'}{view}, {shape}{size}{unit}, values {image.pixels.min():g} to {image.pixels.max():g}"


def _burned_in(source: ImageSource, limits: Limits) -> str:
    """Return what the first slice's header says about burnt-in annotation; "" for files without one."""
    if not source.kind.startswith("dicom"):
        return ""
    return _first_header(source, limits).burned_in.upper()


def _first_header(source: ImageSource, limits: Limits) -> Header:
    if not source.files:
        with source.path.open("rb") as stream:
            return header_of(stream, source.path.name)
    with open_container(source.path, limits) as container, container.open(source.files[0]) as stream:
        return header_of(stream, source.files[0])


def _repeated(src: Path, key: str, limits: Limits) -> Iterator[Finding]:
    """A second copy of an instance is left out, but whether it reads is worth knowing."""
    archive, _, member = key.partition("!")
    base = src if src.is_dir() else src.parent
    source = ImageSource(base / archive if member else base, "dicom-object", (member or key,))
    try:
        yield Finding(key, "info", "reads", _what(read_image(source, limits)))
    except RadfoundryError as error:
        yield of_error(key, error)
