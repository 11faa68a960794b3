"""Which image a DICOM annotation was drawn on: the instances, series and frame of reference that it names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from radfoundry.studies.dicom import guarded, read_dataset
from radfoundry.studies.series import Found

__all__ = ["ImageIndex", "References", "references_of"]

K = TypeVar("K")


@dataclass(frozen=True)
class References:
    """What an annotation refers to, from firm to weak; any may be empty."""

    instances: frozenset[str]
    series: frozenset[str]
    frames_of_reference: frozenset[str]


def references_of(stream: BinaryIO, name: str) -> References:
    """Return what a SEG, RTSTRUCT or SR refers to."""
    dataset, _, _ = read_dataset(stream, name)

    def collect() -> References:
        found = list(_walk(dataset, 0))
        return References(
            frozenset(v for k, v in found if k == "ReferencedSOPInstanceUID"),
            frozenset(v for k, v in found if k == "SeriesInstanceUID"),
            frozenset(v for k, v in found if k == "FrameOfReferenceUID")
            | {str(dataset.get("FrameOfReferenceUID") or "")} - {""},
        )

    return guarded(collect, name)


_KEYWORDS = ("ReferencedSOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


def _walk(dataset: Any, depth: int) -> Iterator[tuple[str, str]]:
    for element in dataset:
        if element.VR == "SQ" and element.value:
            for item in element.value:
                yield from _walk(item, depth + 1)
        # the object's own series is no reference
        elif depth > 0 and element.keyword in _KEYWORDS and element.value:
            yield element.keyword, str(element.value)


class ImageIndex(Generic[K]):
    """Images by what an annotation may call them."""

    def __init__(self, images: Iterable[tuple[K, Found]]) -> None:
        self._instances: dict[str, list[tuple[Path, K]]] = defaultdict(list)
        self._series: dict[str, list[tuple[Path, K]]] = defaultdict(list)
        self._frames: dict[str, list[tuple[Path, K]]] = defaultdict(list)
        for key, found in images:
            self._series[found.first.series_uid].append((found.root, key))
            self._frames[found.first.frame_of_reference].append((found.root, key))
            for header in found.headers:
                self._instances[header.sop_uid].append((found.root, key))

    def owner(self, refers: References, root: Path) -> K | None:
        """Return the image that holds a named instance, else is of a named series, else shares the frame of reference.

        Copies of a study may lie in several places: one in the annotation's own folder or archive goes first.
        """
        for names, index in (
            (refers.instances, self._instances),
            (refers.series, self._series),
            (refers.frames_of_reference, self._frames),
        ):
            candidates = [place for name in sorted(names) for place in index.get(name, ())]
            if candidates:
                return min(candidates, key=lambda place: place[0] != root)[1]
        return None
