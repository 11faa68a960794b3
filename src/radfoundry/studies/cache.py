"""The model's view of an image, kept on disk: made once, memory-mapped ever after.

An entry is one `.npy` named by what it was made from and how. It is written aside, synced and renamed, so that it is whole or not
there: a killed writer leaves nothing but a file that the next one removes. A lock lets one process write an entry while others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radfoundry.errors import MachineError
from radfoundry.ids import settings_hash

__all__ = ["ViewCache"]


class ViewCache:
    """A folder of arrays keyed by content and rule."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, content: str, rule: Mapping[str, Any]) -> Path:
        """Return where the array of `content` (an image id) under `rule` (plain settings) lies, whether or not it is there."""
        name = hashlib.blake2b(f"{content}|{settings_hash(dict(rule))}".encode(), digest_size=16).hexdigest()
        return self.root / name[:2] / f"{name}.npy"

    def get(self, content: str, rule: Mapping[str, Any], make: Callable[[], npt.NDArray]) -> npt.NDArray:
        """Return the array, read-only and memory-mapped; `make` runs in one process at most, and only where nothing is kept yet.

        Raises MachineError where the disk refuses.
        """
        path = self.path(content, rule)
        if (kept := _open(path)) is not None:
            return kept
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(path):
                kept = _open(path)
                return _written(path, make()) if kept is None else kept
        except OSError as error:
            raise MachineError(
                f"the cache at {self.root} cannot be written", str(error), "free disk, or move it"
            ) from error

    def trim(self, keep_bytes: int) -> int:
        """Remove the entries unused for longest until at most `keep_bytes` are left; return how many bytes went."""
        entries = sorted((p.stat().st_atime, p.stat().st_size, p) for p in self.root.glob("??/*.npy"))
        excess = sum(size for _, size, _ in entries) - keep_bytes
        freed = 0
        for _, size, path in entries:
            if freed >= excess:
                break
            path.unlink(missing_ok=True)
            freed += size
        return freed


def _open(path: Path) -> npt.NDArray | None:
    """Return a whole entry; one that a full disk cut short counts as absent."""
    try:
        array: npt.NDArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, EOFError):
        path.unlink(missing_ok=True)
        return None
    os.utime(path, (time.time(), path.stat().st_mtime))
    return array


def _written(path: Path, array: npt.NDArray) -> npt.NDArray:
    aside = path.with_suffix(".part")
    with aside.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
    written: npt.NDArray = np.load(path, mmap_mode="r", allow_pickle=False)
    return written


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the entry's lock; the kernel lets go of it when a process ends, however it ends."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
