"""Which weights answered: a short hash of a folder's safetensors, for run logs."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["weights_hash"]

_ENDS = 16 << 20  # of a file beyond this the head, which lists every tensor, and the tail are read, and the size


def weights_hash(folder: Path) -> str:
    """Return 12 hex digits of the `.safetensors` in a folder, "" where there are none."""
    digest = hashlib.blake2b(digest_size=6)
    files = sorted(folder.glob("*.safetensors"))
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(_ENDS))
            file.seek(max(size - _ENDS, 0))
            digest.update(file.read(_ENDS))
    return digest.hexdigest() if files else ""
