"""Folders, single files and zip archives behind one face: names, and bounded bytes for a name."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from radfoundry.errors import LimitError, MachineError, UnreadableError
from radfoundry.studies.limits import Limits

__all__ = ["Container", "open_container", "open_file", "read_file", "walk"]

# what Python raises on a damaged or locked archive
ARCHIVE_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, OSError,
)  # fmt: skip


class Container(Protocol):
    """A place that holds files under names."""

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        ...

    def size(self, name: str) -> int:
        """Return the unpacked size in bytes."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Return a seekable stream that has been checked against the limits."""
        ...

    def stamp(self, name: str) -> object:
        """Return what stays the same as long as the file does."""
        ...


class Folder:
    """A folder on disk."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root, self.limits = root, limits

    def names(self) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in walk(self.root, self.limits)]

    def size(self, name: str) -> int:
        return (self.root / name).stat().st_size

    def open(self, name: str) -> BinaryIO:
        return open_file(self.root / name, self.limits)

    def stamp(self, name: str) -> object:
        return file_stamp(self.root / name)


class Archive:
    """A zip archive; archives inside are entered to `limits.nesting`, their members named `inner.zip!name`."""

    def __init__(self, stream: BinaryIO, label: str, limits: Limits, depth: int = 1) -> None:
        limits.check("nesting", depth, label)
        self.label, self.limits, self.depth = label, limits, depth
        try:
            self._zip = zipfile.ZipFile(stream)
        except ARCHIVE_ERRORS as error:
            raise UnreadableError(
                f"{label} is no zip archive that can be read", str(error), "copy it again from its source", code="zip"
            ) from error
        limits.check("entries", len(self._zip.filelist), label)
        self._inner: dict[str, Archive] = {}

    def names(self) -> list[str]:
        found = []
        for info in self._zip.filelist:
            if info.is_dir() or _is_litter(info.filename):
                continue
            if info.filename.lower().endswith(".zip"):
                found += [f"{info.filename}!{name}" for name in self._archive(info.filename).names()]
            else:
                found.append(info.filename)
        return sorted(found)

    def size(self, name: str) -> int:
        outer, _, inner = name.partition("!")
        return self._archive(outer).size(inner) if inner else self._info(name).file_size

    def open(self, name: str) -> BinaryIO:
        outer, _, inner = name.partition("!")
        if inner:
            return self._archive(outer).open(inner)
        info = self._info(name)
        what = f"{self.label}!{name}"
        self.limits.check("file_bytes", info.file_size, what)
        if info.file_size > self.limits.ratio_floor_bytes:
            self.limits.check("ratio", info.file_size / max(1, info.compress_size), what)
        try:
            with self._zip.open(info) as member:
                # one byte more than declared: a member that lies about its size is caught, not followed
                data = member.read(info.file_size + 1)
        except ARCHIVE_ERRORS as error:
            raise UnreadableError(
                f"{what} cannot be unpacked", str(error), "copy the archive again", code="zip"
            ) from error
        if len(data) > info.file_size:
            raise LimitError(f"{what} unpacks to more than it declares", code="limit-declared")
        return io.BytesIO(data)

    def stamp(self, name: str) -> object:
        outer, _, inner = name.partition("!")
        if inner:
            return self._archive(outer).stamp(inner)
        info = self._info(name)
        return self.label, info.header_offset, info.CRC, info.file_size

    def _info(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._zip.getinfo(name)
        except KeyError as error:
            raise UnreadableError(f"{self.label} has no member {name}", code="missing-file") from error

    def _archive(self, name: str) -> Archive:
        if name not in self._inner:
            self._inner[name] = Archive(self.open(name), f"{self.label}!{name}", self.limits, self.depth + 1)
        return self._inner[name]


@contextmanager
def open_container(path: Path, limits: Limits) -> Iterator[Container]:
    """Open a folder or zip archive as a container."""
    if path.is_dir():
        yield Folder(path, limits)
        return
    with open_file(path, limits) as stream:
        yield Archive(stream, path.name, limits)


def file_stamp(path: Path) -> object:
    """Return what stays the same as long as a file does: place, size and time."""
    try:
        state = path.stat()
    except OSError:
        return None
    return str(path), state.st_size, state.st_mtime_ns, state.st_ino


def read_file(path: Path, limits: Limits) -> bytes:
    """Return a whole file, its size checked first."""
    with open_file(path, limits) as stream:
        return stream.read()


def walk(root: Path, limits: Limits) -> Iterator[Path]:
    """Yield the files below a folder in the order of their names; hidden ones and links to folders are passed over."""
    count = 0
    stack = [(root, 0)]
    while stack:
        folder, depth = stack.pop()
        limits.check("folder_depth", depth, str(folder))
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise MachineError(f"{folder} cannot be listed", str(error)) from error
        for entry in entries:
            if _is_litter(entry.name) or not entry.is_file():
                continue
            count += 1
            limits.check("entries", count, str(root))
            yield Path(entry.path)
        stack += [(Path(e.path), depth + 1) for e in reversed(entries) if _is_folder(e)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and not _is_litter(entry.name)


def _is_litter(name: str) -> bool:
    parts = name.split("/")
    return any(part.startswith(".") for part in parts) or parts[0] == "__MACOSX" or parts[-1] == "Thumbs.db"


def open_file(path: Path, limits: Limits) -> BinaryIO:
    """Open one file for reading, its size checked first; no folder, pipe or device."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UnreadableError(f"{path.name} is no file", "it is a folder, a pipe or a device", code="not-a-file")
        limits.check("file_bytes", state.st_size, path.name)
        return path.open("rb")
    except FileNotFoundError as error:
        raise UnreadableError(f"{path.name} does not exist", mend="correct the path", code="missing-file") from error
    except PermissionError as error:
        raise UnreadableError(
            f"{path.name} may not be read", "permission denied", "give yourself the right to read it", code="permission"
        ) from error
    except OSError as error:
        raise MachineError(f"{path} cannot be opened", str(error)) from error
