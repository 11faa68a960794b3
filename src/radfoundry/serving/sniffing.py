"""What an uploaded file is, by its first bytes and never by its name; archives are looked over before anything is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from radfoundry.errors import LimitError, UnreadableError
from radfoundry.serving.settings import Settings
from radfoundry.studies.containers import ARCHIVE_ERRORS
from radfoundry.studies.samples import UNPACK_ERRORS, unpacked

__all__ = ["check_archive", "ending_of"]

_HEAD = 352


def ending_of(path: Path) -> str:
    """Return the ending under which the readers know such a file; "" for DICOM, and for what nothing here reads."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if head[:2] == b"PK":
        return ".zip"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return ".png"
    if head[:3] == b"\xff\xd8\xff":
        return ".jpg"
    if head[:2] == b"\x1f\x8b":
        return ".nii.gz" if _is_nifti(_unpacked_head(path)) else ".gz"
    return ".nii" if _is_nifti(head) else ""


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def _unpacked_head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return unpacked(stream).read(_HEAD)
    except UNPACK_ERRORS as error:
        raise UnreadableError(
            "The file is packed and does not unpack.", type(error).__name__, "Copy it again from its source."
        ) from error


def check_archive(path: Path, settings: Settings) -> None:
    """Refuse an archive that would unpack to too much, or whose members name places outside of it.

    Nothing is ever unpacked to disk here; an archive made to write elsewhere is refused all the same. Raises LimitError,
    UnreadableError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except ARCHIVE_ERRORS as error:
        raise UnreadableError(
            "The zip archive cannot be read.", type(error).__name__, "Pack it again.", code="zip"
        ) from error
    whole = sum(member.file_size for member in members)
    if whole > settings.unpacked_bytes:
        raise LimitError(
            "The archive unpacks to too much.",
            f"It says {whole:,} bytes, the limit is {settings.unpacked_bytes:,}.",
            "Send one study at a time.",
            code="limit-unpacked-bytes",
        )
    settings.reading.check("entries", len(members), "The archive")
    if any(_leads_out(member.filename) for member in members):
        raise UnreadableError(
            "The archive names places outside of itself.",
            "A member's name is absolute or climbs with '..'.",
            "Pack the study again with plain names.",
            code="path",
        )


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"
