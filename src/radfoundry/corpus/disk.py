"""Durable writes: the one file of the corpus that writes, renames and syncs, so that a test can make each of these fail."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from radfoundry.errors import MachineError

__all__ = ["FULL", "content_hash", "disk_full", "machine_faults", "put", "put_all", "remove", "sync_folder"]

FULL = (errno.ENOSPC, errno.EDQUOT)


def content_hash(data: bytes) -> str:
    """Return 32 hex digits of BLAKE2b."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def put(path: Path, data: bytes) -> None:
    """Write a whole file so that a reader, or a crash, sees the old bytes or the new ones and nothing between."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(aside, data)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def put_all(root: Path, files: Mapping[str, bytes], staging: Path) -> None:
    """Write files below `root` by way of a staging folder: none moves into place before all are safely on the disk."""
    staging = staging / secrets.token_hex(4)
    staging.mkdir(parents=True, exist_ok=True)
    try:
        for number, data in enumerate(files.values()):
            _write(staging / str(number), data)
        folders = {(root / name).parent for name in files}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(files):
            os.replace(staging / str(number), root / name)
        for folder in sorted(folders):
            sync_folder(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file that may be gone already, and make that last."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def machine_faults(out: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a MachineError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(error, out) from error
        raise MachineError(
            f"the machine failed while {out} was written",
            f"{type(error).__name__}: {error}",
            "mend it and run the same command again: finished waves are safe",
        ) from error


def disk_full(error: OSError, out: Path) -> MachineError:
    """Return the error that a person reads when the disk has no room left."""
    return MachineError(
        f"the disk that holds {out} is full",
        f"{error.strerror}; finished waves are safe and nothing half-written counts",
        "free some space and run the same command again: it goes on where it stopped",
        code="disk-full",
    )


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)
