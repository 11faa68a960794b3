"""One external program as a segmenter: hand the image over, run, read back, name, check."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from radfoundry import anatomy
from radfoundry.errors import MismatchError, UnreadableError, UsageError
from radfoundry.geometry import Grid
from radfoundry.grounding.experts.child import run_command
from radfoundry.grounding.experts.handing import Handed, as_it_is, resampled_and_cropped
from radfoundry.grounding.mask_folder import pack_masks, read_masks
from radfoundry.grounding.names import region_name
from radfoundry.grounding.segmenters import SegmentationRequest
from radfoundry.ids import settings_hash
from radfoundry.studies import ImageSource, LabelMap, Limits, place_labels, read_labels
from radfoundry.studies.nifti import nifti_bytes

__all__ = ["Expert"]


@dataclass(frozen=True)
class Expert:
    """A program that segments volumes.

    command: its arguments; in each, {image}, {output} and {folder} stand for the written image, the expected result and the private
    folder. image, output: where those lie below the folder; an output that is no .nii.gz is a folder with a mask a structure.
    request, labels: for programs that are asked by a JSON line. vocabulary or names: what values and file names mean. modalities:
    what it is asked about, all if empty. grid: "image", or "cropped-1x1x3" for programs that answer without a place in the patient
    (see handing.py). seconds: how long one image may take.
    """

    name: str
    command: tuple[str, ...]
    image: str = "image.nii.gz"
    output: str = "labels.nii.gz"
    request: str = ""
    labels: tuple[str, ...] = ()
    vocabulary: str = ""
    names: tuple[tuple[int, str], ...] = field(default=())
    modalities: tuple[str, ...] = ()
    grid: Literal["image", "cropped-1x1x3"] = "image"
    seconds: float = 3600.0

    def __post_init__(self) -> None:
        inside = (self.image, self.output, *((self.request,) if self.request else ()))
        if any(PurePosixPath(p).is_absolute() or ".." in PurePosixPath(p).parts or not p for p in inside):
            raise UsageError(
                f"{self.name} names a file outside its folder", f"{', '.join(inside)}", "use names below the folder"
            )
        if not self.command or not (self.vocabulary or self.names):
            raise UsageError(
                f"{self.name} is no complete template",
                "it needs a command, and a vocabulary or names for what comes back",
                "see the templates in radfoundry/grounding/experts/templates",
            )
        if self.vocabulary and self.vocabulary not in anatomy.vocabularies():
            raise UsageError(f"no vocabulary {self.vocabulary!r}", f"there are {', '.join(anatomy.vocabularies())}")

    @property
    def version(self) -> str:
        """A hash of everything that decides what comes back; the program's own version is the user's to pin."""
        return settings_hash({f.name: _plain(getattr(self, f.name)) for f in fields(self)})

    def segment(self, request: SegmentationRequest) -> Sequence[LabelMap]:
        """Return the program's label maps on the request's grid, without what is known of the image already.

        Raises RowError where the program is missing, fails, takes too long, or gives what is not on the image, not named, or empty.
        """
        if request.grid.ndim != 3 or (self.modalities and request.modality not in self.modalities):
            return []
        with tempfile.TemporaryDirectory(prefix="radfoundry-expert-") as private:
            folder = Path(private).resolve()
            handed = self._hand_over(request, folder)
            run_command(self._arguments(folder), folder, self.seconds, self.name)
            maps = self._read_back(folder, handed, request.grid)
        return self._checked(maps, request)

    def _hand_over(self, request: SegmentationRequest, folder: Path) -> Handed:
        prepare = as_it_is if self.grid == "image" else resampled_and_cropped
        handed = prepare(request.pixels, request.grid)
        for path in (self.image, self.output, self.request or self.image):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / self.image).write_bytes(nifti_bytes(handed.stored, handed.stored_grid))
        if self.request:
            asked = {
                "image": str(folder / self.image), "label": list(self.labels), "modality": _MODALITY_WORDS.get(request.modality, "ct"),
                "dataset": "radfoundry", "orientation_code": "RAS",
            }  # fmt: skip
            (folder / self.request).write_text(json.dumps(asked) + "\n", encoding="utf-8")
        return handed

    def _arguments(self, folder: Path) -> list[str]:
        places = {"{image}": str(folder / self.image), "{output}": str(folder / self.output), "{folder}": str(folder)}
        arguments = list(self.command)
        for mark, path in places.items():
            arguments = [argument.replace(mark, path) for argument in arguments]
        return arguments

    def _read_back(self, folder: Path, handed: Handed, grid: Grid) -> list[LabelMap]:
        path = self._result(folder)
        limits = Limits(image_bytes=max(16 * int(np.prod(handed.grid.shape)), 1 << 26))
        if path.is_dir():
            masks = read_masks(
                sorted(path.glob("*.nii.gz")), self.vocabulary, lambda m: self._placed(m, handed, grid), limits
            )
            return pack_masks(masks, grid)
        whole = read_labels(ImageSource(path, "nifti"), None, limits)
        array = self._placed(whole, handed, grid)
        return [LabelMap(array, grid, self._names([int(v) for v in np.unique(array) if v > 0]))]

    def _result(self, folder: Path) -> Path:
        """The result, if it truly lies in the private folder: a link could lead anywhere."""
        path = folder / self.output
        kind = path.is_file() or path.is_dir()
        inside = [path, *(path.iterdir() if path.is_dir() else ())]
        if not kind or any(p.is_symlink() or not p.resolve().is_relative_to(folder) for p in inside):
            raise UnreadableError(
                f"{self.name} left no result", f"there is no file or folder {self.output}", "check `output` in its template",
                code="expert-no-output",
            )  # fmt: skip
        return path

    def _placed(self, result: LabelMap, handed: Handed, grid: Grid) -> np.ndarray:
        """Return labels on the image's grid. Raises MismatchError where they do not lie on what was handed over."""
        same = result.grid.matches(handed.grid) if self.grid == "image" else result.array.shape == handed.grid.shape
        if not same:
            raise MismatchError(
                f"what {self.name} gave does not lie on the image",
                f"its grid is {_spell(result.grid)}, the image's {_spell(handed.grid)}",
                "let it write its result on the grid of the image that it was given",
                code="expert-grid",
            )
        return place_labels(LabelMap(result.array, handed.grid), grid).array

    def _names(self, values: list[int]) -> dict[int, str]:
        known = dict(self.names)
        try:
            if known:
                return {v: region_name(known[v]) for v in values}
            return {v: anatomy.crosswalk(self.vocabulary).region_of(v).name for v in values}
        except (KeyError, UsageError) as error:
            raise MismatchError(
                f"{self.name} gave values without a name", f"{error.args[0]} of {values[:10]}",
                "name them in the template, or choose the vocabulary that the program uses", code="expert-names",
            ) from error  # fmt: skip

    def _checked(self, maps: list[LabelMap], request: SegmentationRequest) -> list[LabelMap]:
        if not any(m.array.any() for m in maps):
            raise UnreadableError(f"{self.name} found nothing", "its label map is empty", code="expert-empty")
        if mirrored := mirrored_pairs(maps):
            raise MismatchError(
                f"{self.name} has left and right the wrong way round", f"in {', '.join(mirrored[:4])}",
                "let it keep the affine of the image that it was given", code="expert-mirrored",
            )  # fmt: skip
        return [m for m in (_without(m, request.known) for m in maps) if m.array.any()]


_MODALITY_WORDS = {"CT": "ct", "MR": "mri", "PT": "pet"}


def mirrored_pairs(maps: Sequence[LabelMap]) -> list[str]:
    """Return the left structures that lie to the right of their partner, where every pair does and there are two at least."""
    x = {name: float(np.argwhere((m.array == v).any(axis=(0, 1))).mean())
         for m in maps for v, name in m.names.items() if (m.array == v).any()}  # fmt: skip
    lefts = [n for n in x if anatomy.is_known(n) and anatomy.side_of(n) == "left" and anatomy.region(n).pair in x]
    wrong = [n for n in lefts if x[n] < x[anatomy.region(n).pair]]
    return wrong if len(wrong) == len(lefts) >= 2 else []


def _without(labels: LabelMap, known: frozenset[str]) -> LabelMap:
    """Leave out what came with the study: its own masks go first."""
    gone = [v for v, name in labels.names.items() if name in known]
    if not gone:
        return labels
    array = np.where(np.isin(labels.array, gone), 0, labels.array).astype(labels.array.dtype)
    return LabelMap(array, labels.grid, {v: n for v, n in labels.names.items() if v not in gone}, labels.notes)


def _plain(value: object) -> object:
    return [list(v) if isinstance(v, tuple) else v for v in value] if isinstance(value, tuple) else value


def _spell(grid: Grid) -> str:
    spacing = "x".join(f"{s:.3g}" for s in grid.spacing)
    return f"{'x'.join(map(str, grid.shape))} of {spacing} mm at ({', '.join(f'{o:.1f}' for o in grid.origin)})"
