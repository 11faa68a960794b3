"""What kind of file a path is: by its name where names are firm, by its first bytes for DICOM, which needs no ending."""

from __future__ import annotations

from pathlib import Path

from radfoundry.errors import UnreadableError
from radfoundry.studies.sources import ImageSource, SourceKind

__all__ = ["RASTERS", "is_mask_name", "kind_by_name", "kind_of_mask", "plain_stem"]

RASTERS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
_KINDS: dict[str, SourceKind] = {
    ".nii": "nifti", ".nii.gz": "nifti", ".nrrd": "nrrd", ".nhdr": "nrrd", ".mha": "metaimage", ".mhd": "metaimage", ".npy": "npy",
    **dict.fromkeys(RASTERS, "raster"),
}  # fmt: skip
_MASK_WORDS = frozenset(
    {
        "mask",
        "masks",
        "seg",
        "segs",
        "segmentation",
        "segmentations",
        "label",
        "labels",
        "labelmap",
        "gt",
        "annotation",
        "labelstr",
        "labelsts",
    }
)


def kind_by_name(name: str) -> SourceKind | None:
    """Return the kind that a file's ending names; None where it names none (DICOM, texts, anything)."""
    lower = name.lower()
    return next((kind for ending, kind in _KINDS.items() if lower.endswith(ending)), None)


def plain_stem(name: str) -> str:
    """Return a file's name without its folder and ending; .nii.gz is one ending."""
    last = name.rsplit("/", 1)[-1]
    ending = next((e for e in (".nii.gz", *_KINDS) if last.lower().endswith(e)), Path(last).suffix)
    return last[: len(last) - len(ending)] if ending else last


def is_mask_name(words: list[str]) -> bool:
    """Say whether one of the words of a name is a word for a mask."""
    return not _MASK_WORDS.isdisjoint(words)


def kind_of_mask(path: Path) -> ImageSource:
    """Return the source of a mask file; what has no ending that says otherwise is taken as DICOM SEG or RTSTRUCT by its header."""
    kind = kind_by_name(path.name)
    if kind is not None:
        return ImageSource(path, kind)
    if path.name.lower().endswith((".xml", ".xml.gz")):
        return ImageSource(path, "lidc-xml")
    if path.is_dir():
        raise UnreadableError(f"{path.name} is a folder", "a mask is one file", "name the file", code="mask-folder")
    from radfoundry.studies.dicom_header import header_of

    with path.open("rb") as stream:
        modality = header_of(stream, path.name).modality
    if modality not in ("SEG", "RTSTRUCT"):
        raise UnreadableError(f"{path.name} is no mask", f"its modality is {modality or 'unknown'}", code="not-a-mask")
    return ImageSource(path, "dicom-seg" if modality == "SEG" else "dicom-rtstruct")
