"""Loose files of a folder: images, and masks paired with them where their names leave no doubt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from radfoundry.errors import RowError, UnreadableError
from radfoundry.studies.guess import tokens
from radfoundry.studies.kinds import is_mask_name, kind_by_name, plain_stem
from radfoundry.studies.limits import Limits
from radfoundry.studies.nifti import read_nifti_header
from radfoundry.studies.sources import ImageSource

__all__ = ["Loose", "image_sources", "pair_loose"]

_FILLERS = frozenset({"image", "images", "img", "volume", "vol", "scan", "orig"})
_MASK_FILLERS = frozenset(
    {"mask", "masks", "seg", "segs", "segmentation", "segmentations", "label", "labels", "labelmap", "gt"}
)


@dataclass(frozen=True)
class Loose:
    """An image file with its volumes, its masks and the text beside it."""

    path: Path
    images: tuple[ImageSource, ...]
    masks: tuple[ImageSource, ...]
    report: Path | None


def pair_loose(root: Path, paths: Iterable[Path], limits: Limits) -> tuple[list[Loose], list[tuple[Path, RowError]]]:
    """Return the images among loose files and what could not be paired or read.

    A mask belongs to an image when their names are equal once words like "mask" and "image" are taken out, in one folder or in
    folders side by side; or when a folder (or the folder above a folder of masks) holds exactly one image; or, for NIfTI, when just
    one image beside it begins with the same word and has the same grid.
    """
    images: list[Path] = []
    masks: list[Path] = []
    texts: dict[Path, Path] = {}
    for path in paths:
        kind = kind_by_name(path.name)
        if kind is None:
            texts.update({path.with_suffix(""): path} if path.suffix.lower() == ".txt" else {})
        elif is_mask_name(tokens(plain_stem(path.name))) or (
            path.parent != root and is_mask_name(tokens(path.parent.name))
        ):
            masks.append(path)
        else:
            images.append(path)
    owners, lonely = _owners(images, masks, limits)
    found, problems = [], [(path, _unpaired(path, why)) for path, why in lonely]
    for path in images:
        try:
            found.append(
                Loose(
                    path,
                    image_sources(path, limits),
                    _sources(owners[path]),
                    texts.get(path.parent / plain_stem(path.name)),
                )
            )
        except RowError as error:
            problems.append((path, error))
    return found, problems


def image_sources(path: Path, limits: Limits) -> tuple[ImageSource, ...]:
    """Return the images of one file: the volumes of a 4D NIfTI are several."""
    kind = kind_by_name(path.name)
    if kind is None:
        raise UnreadableError(f"{path.name} is no image that is known", code="unknown-kind")
    if kind != "nifti":
        return (ImageSource(path, kind),)
    volumes = read_nifti_header(path, limits).volumes
    return tuple(ImageSource(path, kind, (), str(i) if volumes > 1 else "") for i in range(volumes))


def _sources(paths: list[Path]) -> tuple[ImageSource, ...]:
    kinds = ((path, kind_by_name(path.name)) for path in sorted(paths))
    return tuple(ImageSource(path, kind) for path, kind in kinds if kind is not None)


def _owners(
    images: list[Path], masks: list[Path], limits: Limits
) -> tuple[dict[Path, list[Path]], list[tuple[Path, str]]]:
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    by_name: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for image in images:
        by_folder[image.parent].append(image)
        for folder in {image.parent, image.parent.parent}:
            by_name[(folder, _core(image, _FILLERS))].append(image)
    owners: dict[Path, list[Path]] = defaultdict(list)
    lonely = []
    for mask in masks:
        candidates = _candidates(mask, by_folder, by_name) or _same_grid(mask, by_folder[mask.parent], limits)
        if len(candidates) == 1:
            owners[candidates[0]].append(mask)
        else:
            names = ", ".join(sorted(c.name for c in candidates)[:4])
            lonely.append(
                (mask, f"{len(candidates)} images could own it ({names})" if names else "no image has its name")
            )
    return owners, lonely


def _candidates(
    mask: Path, by_folder: dict[Path, list[Path]], by_name: dict[tuple[Path, str], list[Path]]
) -> list[Path]:
    core = _core(mask, _MASK_FILLERS)
    for folder in (mask.parent, mask.parent.parent):
        if core and (named := by_name.get((folder, core))):
            return named
    for folder in (mask.parent, mask.parent.parent):
        if folder == mask.parent or is_mask_name(tokens(mask.parent.name)):
            alone = by_folder.get(folder, [])
            if len(alone) == 1:
                return alone
    return []


def _same_grid(mask: Path, images: list[Path], limits: Limits) -> list[Path]:
    """Return the NIfTI images beside a mask that begin with the same word and have its very grid."""
    word = tokens(mask.name)[0]
    near = [path for path in images if tokens(path.name)[0] == word and kind_by_name(path.name) == "nifti"]
    # every candidate costs a look at its header
    if not 0 < len(near) <= 20 or kind_by_name(mask.name) != "nifti":
        return []
    try:
        grid = read_nifti_header(mask, limits).grid
        return [path for path in near if read_nifti_header(path, limits).grid == grid]
    except RowError:
        return []


def _core(path: Path, fillers: frozenset[str]) -> str:
    words = [word for word in tokens(plain_stem(path.name)) if word not in fillers]
    # nnU-Net: imagesTr/case_0000 is the first channel of labelsTr/case
    if path.parent.name.lower() in ("imagestr", "imagests") and len(words) > 1 and words[-1] == "0000":
        words.pop()
    return " ".join(words)


def _unpaired(path: Path, why: str) -> RowError:
    return UnreadableError(
        f"{path.name} looks like a mask without an image",
        why,
        "pair them in a table with the columns image and mask",
        code="unpaired-mask",
    )
