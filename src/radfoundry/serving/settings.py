"""How much a server takes on: every bound in one place, named in the refusals that it leads to."""

from __future__ import annotations

from dataclasses import dataclass, field

from radfoundry.studies import Limits

__all__ = ["LOOPBACK", "Settings"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_GIB = 1 << 30
_MIB = 1 << 20


def _reading() -> Limits:
    """What one uploaded file may unpack to; tighter than for files that a user chose on the own disk."""
    return Limits(
        file_bytes=2 * _GIB,
        image_bytes=2 * _GIB,
        axis=16_384,
        files=5_000,
        entries=20_000,
        ratio_floor_bytes=64 * _MIB,
        seconds=60.0,
    )


@dataclass(frozen=True)
class Settings:
    """The bounds of one server.

    upload_bytes: an upload, request_bytes: any other body, both checked before they are read. unpacked_bytes: all members of one
    archive. kept_bytes: uploads on disk, the longest unused go first. file_seconds: how long an upload is kept. pixel_bytes: decoded
    images in memory. mask_bytes: masks that answers drew. studies: encoded studies in memory. queue: requests that wait;
    batch: answered together. body_seconds: between two pieces of a body. reads: files decoded at one time.
    """

    host: str = "127.0.0.1"
    token: str = ""
    upload_bytes: int = 1 * _GIB
    request_bytes: int = 64 * _MIB
    unpacked_bytes: int = 4 * _GIB
    kept_bytes: int = 16 * _GIB
    file_seconds: float = 6 * 3600.0
    pixel_bytes: int = 2 * _GIB
    mask_bytes: int = 1 * _GIB
    studies: int = 8
    queue: int = 32
    batch: int = 16
    body_seconds: float = 30.0
    reads: int = 2
    images_per_file: int = 64
    reading: Limits = field(default_factory=_reading)

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can reach the server."""
        return self.host in LOOPBACK
