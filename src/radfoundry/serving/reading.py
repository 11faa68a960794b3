"""From an uploaded file to images: discovered and read by the project's own readers, within the server's bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from radfoundry.errors import RowError, UnreadableError
from radfoundry.geometry import Grid, Orientation
from radfoundry.grounding.regions import LabelledImage, measure_regions, midline_mm
from radfoundry.grounding.segmenters import Classical, LabelsOnDisk, SegmentationRequest
from radfoundry.phantom import Phantom, make_phantom
from radfoundry.records import MadeBy, Region, Rejected
from radfoundry.serving.images import Labels, PixelCache, SharedImage
from radfoundry.serving.settings import Settings
from radfoundry.serving.sniffing import check_archive, ending_of
from radfoundry.studies import ImageSource, MaskSource, ReadImage, discover, read_image
from radfoundry.studies.identity import image_id_of

__all__ = ["example_image", "read_images"]

_DICOM = ("dicom-series", "dicom-object")
_LEAST_SLICES = 8  # fewer show no lung to the rules


def read_images(path: Path, settings: Settings, cache: PixelCache) -> tuple[SharedImage, ...]:
    """Return the images in a file, which gets the ending of its kind. Raises RowError where there is none, or one is broken."""
    ending = ending_of(path)
    named = path.rename(path.with_name(path.name + ending)) if ending else path
    if ending == ".zip":
        check_archive(named, settings)
    found = discover(named, limits=settings.reading)
    sources = [
        (image, tuple(m for m in s.masks if m.image == i)) for s in found.studies for i, image in enumerate(s.images)
    ]
    if not sources:
        raise _nothing(found.problems)
    settings.reading.check("files", len(sources), "The file")
    return tuple(_shared(image, masks, settings, cache) for image, masks in sources[: settings.images_per_file])


def _nothing(problems: Sequence[Rejected]) -> UnreadableError:
    """The refusal of a file without an image: in the words of the first thing that went wrong."""
    first = (
        problems[0] if problems else Rejected("", "", "", "unreadable", "It is neither NIfTI, DICOM, PNG nor JPEG.", "")
    )
    return UnreadableError(
        "There is no image in this file that can be read.",
        first.reason,
        first.mend or "Send a .nii or .nii.gz, a zip of one DICOM study, one DICOM file, a PNG or a JPEG.",
        code=first.code,
    )


def _shared(source: ImageSource, masks: tuple[MaskSource, ...], settings: Settings, cache: PixelCache) -> SharedImage:
    read = read_image(source, settings.reading)
    image_id = image_id_of(read)
    cache.put(image_id, read.pixels)

    def load() -> npt.NDArray:
        return cache.get(image_id, lambda: read_image(source, settings.reading).pixels)

    given = _given(image_id, read, load, masks, cache)
    label_sets = given or _found(image_id, read, load, cache)
    facts = (image_id, read.modality, read.grid)
    return SharedImage(
        *facts,
        load,
        _regions(image_id, load, read.grid, label_sets),
        label_sets,
        read.orientation,
        read.unit,
        read.view,
        midline_mm=_midline(image_id, read, given),
        source=source if source.kind in _DICOM else None,
        source_grid=read.source_grid,
    )


def _given(
    image_id: str, read: ReadImage, load: Callable[[], npt.NDArray], masks: tuple[MaskSource, ...], cache: PixelCache
) -> dict[str, Callable[[], Labels]]:
    """The label maps that came with the image; what cannot be placed on it is left out, the image is there all the same."""
    grid, modality = read.grid, read.modality

    def maps() -> list[Labels]:
        found = LabelsOnDisk().segment(SegmentationRequest(load(), grid, modality, masks))
        return [Labels(one.array, one.names) for one in found]

    try:
        now = maps() if masks else []
    except RowError:
        return {}
    names = ["given" if number == 0 else f"given-{number + 1}" for number in range(len(now))]
    for name, labels in zip(names, now, strict=True):
        cache.put(f"{image_id}.{name}", labels.array)

    def again(number: int) -> Callable[[], Labels]:
        return lambda: maps()[number]

    return {
        name: _kept(f"{image_id}.{name}", again(number), dict(now[number].names), cache)
        for number, name in enumerate(names)
    }


def _found(
    image_id: str, read: ReadImage, load: Callable[[], npt.NDArray], cache: PixelCache
) -> dict[str, Callable[[], Labels]]:
    """The lungs, airway and bone of a CT by rules alone, looked for when somebody asks: that takes seconds."""
    grid, modality = read.grid, read.modality
    if modality != "CT" or grid.ndim != 3 or grid.unit != "mm" or min(grid.shape) < _LEAST_SLICES:
        return {}

    def segment() -> Labels:
        for labels in Classical().segment(SegmentationRequest(load(), grid, modality)):
            return Labels(labels.array, labels.names)
        return Labels(np.zeros(grid.shape, np.uint8), {})

    return {"found": _kept(f"{image_id}.found", segment, {}, cache)}


def _kept(mask_id: str, make: Callable[[], Labels], names: dict[int, str], cache: PixelCache) -> Callable[[], Labels]:
    """Make a label map when it is asked for, once at a time, and again if memory was needed elsewhere."""
    making = Lock()

    def array() -> npt.NDArray:
        made = make()
        names.update(made.names)
        return made.array

    def labels() -> Labels:
        with making:
            return Labels(cache.get(mask_id, array), names)

    return labels


def _ready(labels: Labels) -> Callable[[], Labels]:
    return lambda: labels


def _regions(
    image_id: str, load: Callable[[], npt.NDArray], grid: Grid, label_sets: Mapping[str, Callable[[], Labels]]
) -> Callable[[], list[Region]]:
    @cache
    def measured() -> list[Region]:
        return [
            region
            for name, labels in label_sets.items()
            for region in measure_regions(
                LabelledImage(image_id, load(), labels().array, grid, labels().names, name),
                MadeBy("serve", "1", by=name),
            )
        ]

    return measured


def _midline(image_id: str, read: ReadImage, given: Mapping[str, Callable[[], Labels]]) -> float | None:
    for name, labels in given.items():
        found = labels()
        return midline_mm(LabelledImage(image_id, read.pixels, found.array, read.grid, found.names, name))
    return None


def example_image(cache: PixelCache) -> SharedImage:
    """Return the example: a phantom with everything that is known of it."""
    phantom = _phantom()
    pixels, grid = phantom.volume, phantom.grid
    labels = {"truth": _ready(Labels(phantom.labels, phantom.label_names))}
    orientation = Orientation.of(grid)
    read = ReadImage(pixels, grid, grid, orientation, "CT", "HU", "volume")
    image_id = image_id_of(read)

    def load() -> npt.NDArray:
        return cache.get(image_id, lambda: pixels)

    return SharedImage(
        image_id,
        "CT",
        grid,
        load,
        _regions(image_id, load, grid, labels),
        labels,
        orientation,
        "HU",
        "volume",
        title=f"phantom CT, {grid.shape[0]} slices",
        midline_mm=_midline(image_id, read, labels),
    )


@cache
def _phantom() -> Phantom:
    return make_phantom(0, size="standard")
