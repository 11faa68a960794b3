"""DICOM headers to images: which files make a volume, which stand alone, which are no images, which are annotations of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from os.path import commonpath
from pathlib import Path

from radfoundry.errors import GeometryError, RowError, UnreadableError
from radfoundry.studies.dicom import uid_name
from radfoundry.studies.dicom_header import Header
from radfoundry.studies.sources import ImageSource, SourceKind
from radfoundry.studies.stack import Place, stack

__all__ = ["Found", "Refused", "Series", "group_series", "source_of"]

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SECTIONAL = ("CT", "MR", "PT")
_ANNOTATIONS = ("SEG", "RTSTRUCT", "SR")


@dataclass(frozen=True)
class Refused:
    """A file, or several of one series, that make no image, and why."""

    files: tuple[str, ...]
    error: RowError


@dataclass(frozen=True)
class Found:
    """An image with the headers of its slices."""

    source: ImageSource
    headers: tuple[Header, ...]
    root: Path

    @property
    def first(self) -> Header:
        """The header that speaks for the image."""
        return self.headers[0]


@dataclass
class Series:
    """What a container's DICOM files came to."""

    images: list[Found] = field(default_factory=list)
    annotations: list[Header] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def group_series(root: Path, headers: Iterable[Header], members: Callable[[Header], Sequence[str]]) -> Series:
    """Sort headers of the files below `root` into images, annotations and refusals.

    `members` lists the volumes of a many-frame object ("" for the only one). Files of one series count together when they lie in
    one folder, or in folders side by side without repeating an instance.
    """
    out = Series()
    groups: dict[tuple[str, str, str], list[Header]] = defaultdict(list)
    for header in headers:
        if _sort_out(root, header, members, out):
            folder = header.name.rpartition("/")[0]
            groups[(folder, header.series_uid, header.modality)].append(header)
    for group in _joined(groups):
        _add_group(root, group, out)
    return out


def source_of(root: Path, kind: SourceKind, names: tuple[str, ...], member: str = "") -> ImageSource:
    """Return the source of files in a container: on disk its path is the file, or the nearest folder that holds all of them."""
    if root.is_file():
        return ImageSource(root, kind, names, member)
    if len(names) == 1:
        return ImageSource(root / names[0], kind, (), member)
    folder = commonpath([name.rpartition("/")[0] or "." for name in names])
    return ImageSource(root / folder, kind, tuple(Path(name).relative_to(folder).as_posix() for name in names), member)


def _sort_out(root: Path, header: Header, members: Callable[[Header], Sequence[str]], out: Series) -> bool:
    """Deal with what stands alone; return True for a slice that belongs to a series."""
    if header.modality in _ANNOTATIONS:
        out.annotations.append(header)
        return False
    try:
        _check_image(header)
        if header.placed and header.frames == 1:
            return True
        _check_capture(header)
        for member in members(header):
            out.images.append(Found(source_of(root, "dicom-object", (header.name,), member), (header,), root))
    except RowError as error:
        out.refused.append(Refused((header.name,), error))
    return False


def _check_image(header: Header) -> None:
    if not header.has_pixels:
        kind = uid_name(header.sop_class) or (
            "a directory of other files"
            if header.name.upper().endswith(("DICOMDIR", "DIRFILE"))
            else "no image: it has no SOP class and no modality"
        )
        raise UnreadableError(f"{header.name} has no pixels", f"it is {kind}", "leave it out", code="no-pixels")
    if "LOCALIZER" in header.image_type:
        raise GeometryError(
            f"{header.name} is a localizer",
            "ImageType says so: a scout view, not a slice of a volume",
            "leave it out",
            code="localizer",
        )


def _check_capture(header: Header) -> None:
    if header.sop_class == _SECONDARY_CAPTURE and header.modality in _SECTIONAL:
        kind = header.image_type[2] if len(header.image_type) > 2 else "screen copy"
        raise GeometryError(
            f"{header.name} is a secondary capture",
            f"{kind}: a copy of a screen, no slice of a volume, and it may show patient data",
            "leave it out",
            code="secondary-capture",
        )


def _joined(groups: dict[tuple[str, str, str], list[Header]]) -> list[list[Header]]:
    """Join the parts of a series that an export spread over folders side by side."""
    by_series: dict[tuple[str, str, str], list[list[Header]]] = defaultdict(list)
    for (folder, uid, modality), group in sorted(groups.items()):
        parent = folder.rpartition("/")[0]
        parts = by_series[(parent, uid, modality)]
        if uid and parts and _continue(parts[0], group):
            parts[0].extend(group)
        else:
            parts.append(group)
    return [group for parts in by_series.values() for group in parts]


def _continue(first: list[Header], more: list[Header]) -> bool:
    a, b = first[0], more[0]
    same = (a.rows, a.columns, a.frame_of_reference) == (b.rows, b.columns, b.frame_of_reference)
    fresh = {h.instance for h in first}.isdisjoint(h.instance for h in more) and {h.position for h in first}.isdisjoint(
        h.position for h in more
    )
    return same and fresh and bool(a.frame_of_reference)


def _add_group(root: Path, group: list[Header], out: Series) -> None:
    kept = _unrepeated(group, out)
    captures = kept[0].sop_class == _SECONDARY_CAPTURE and kept[0].modality in _SECTIONAL
    try:
        volumes = _volumes(kept)
    except RowError as error:
        if captures:
            for header in kept:
                _refuse_capture(header, out)
            return
        out.refused.append(Refused(tuple(h.name for h in kept), error))
        return
    for volume in volumes:
        names = tuple(h.name for h in volume)
        if captures and len(volume) < 3:
            _refuse_capture(volume[0], out)
        elif len(volume) == 1:
            out.images.append(Found(source_of(root, "dicom-object", names), tuple(volume), root))
        else:
            out.images.append(Found(source_of(root, "dicom-series", names), tuple(volume), root))


def _refuse_capture(header: Header, out: Series) -> None:
    try:
        _check_capture(header)
    except GeometryError as error:
        out.refused.append(Refused((header.name,), error))


def _unrepeated(group: list[Header], out: Series) -> list[Header]:
    """Drop the second copy of an instance; the copy is named, not lost."""
    kept: dict[str, Header] = {}
    for header in sorted(group, key=lambda h: h.name):
        if header.sop_uid and header.sop_uid in kept:
            first = kept[header.sop_uid].name
            error = UnreadableError(
                f"{header.name} repeats an instance",
                f"{first} has the same SOPInstanceUID",
                "remove one",
                code="repeated-instance",
            )
            out.refused.append(Refused((header.name,), error))
        else:
            kept[header.sop_uid or header.name] = header
    return list(kept.values())


def _volumes(group: list[Header]) -> list[list[Header]]:
    """Return the volumes of a series, each in the order of its slices. Raises GeometryError with the reason why there is none."""
    what = _label(group)
    try:
        return [_ordered(group, what)]
    except GeometryError as whole:
        for split in (_by_plane, _by_tag, _by_type):
            parts = split(group)
            if len(parts) > 1 and (volumes := _all_ordered(parts, what)):
                return volumes
        raise whole


def _label(group: list[Header]) -> str:
    folder = group[0].name.rpartition("/")[0]
    number = f"series {group[0].series_number}" if group[0].series_number else "the series"
    return f"{number} in {folder}" if folder else number


def _ordered(group: list[Header], what: str) -> list[Header]:
    places = [Place((h.rows, h.columns), h.position, h.orientation, h.pixel_spacing, h.thickness) for h in group]
    return [group[i] for i in stack(places, what).order]


def _all_ordered(parts: list[list[Header]], what: str) -> list[list[Header]]:
    """Return the parts in order if each alone is a volume, else nothing."""
    try:
        return [_ordered(part, what) for part in parts]
    except GeometryError:
        return []


def _by_plane(group: list[Header]) -> list[list[Header]]:
    parts = _split(group, lambda h: (h.rows, h.columns, tuple(round(v, 2) for v in h.orientation)))
    return parts if min(map(len, parts)) >= 3 else [group]


def _by_type(group: list[Header]) -> list[list[Header]]:
    """An image and what was derived from it may share a series; then even single slices are images of their own."""
    return _split(group, lambda h: h.image_type)


def _by_tag(group: list[Header]) -> list[list[Header]]:
    """Split by the first tag that gives parts of equal length, all longer than two."""
    for index in range(len(group[0].split_keys)):
        parts = _split(group, lambda h, i=index: h.split_keys[i])  # type: ignore[misc]
        if len(parts) > 1 and len({len(part) for part in parts}) == 1 and len(parts[0]) > 2:
            return parts
    return [group]


def _split(group: list[Header], key: Callable[[Header], object]) -> list[list[Header]]:
    parts: dict[object, list[Header]] = defaultdict(list)
    for header in group:
        parts[key(header)].append(header)
    return list(parts.values())
