"""Uploaded files: kept under meaningless names in a private folder until they expire, read once, shown as images."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import IO, Any

from radfoundry.serving.images import PixelCache, SharedImage, describe
from radfoundry.serving.reading import read_images
from radfoundry.serving.refusals import Refusal
from radfoundry.serving.settings import Settings

__all__ = ["Upload", "Uploads"]

_PREFIX = "radfoundry-serve-"
_CHUNK = 1 << 20


@dataclass
class Upload:
    """One file and the images in it."""

    file_id: str
    bytes: int
    created_at: float
    expires_at: float
    images: tuple[SharedImage, ...]
    folder: Path | None
    used_at: float

    def as_json(self) -> dict[str, Any]:
        """Return the File object of the API; no name of the user's is in it."""
        return {
            "id": self.file_id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": int(self.created_at),
            "expires_at": int(self.expires_at),
            "filename": "scan",
            "purpose": "vision",
            "status": "processed",
            "images": [describe(image) for image in self.images],
        }


class Uploads:
    """All uploads of one server process. Safe between threads."""

    def __init__(self, settings: Settings, pixels: PixelCache) -> None:
        _sweep_dead()
        self.settings, self._pixels = settings, pixels
        self.root = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))  # mode 0700
        self._lock = RLock()
        self._files: dict[str, Upload] = {}
        self._by_content: dict[str, str] = {}

    def add(self, stream: IO[bytes]) -> Upload:
        """Keep and read a file. Raises RowError where it cannot be read; nothing of it stays then."""
        file_id = f"file-{secrets.token_hex(12)}"
        folder = self.root / file_id
        folder.mkdir()
        try:
            size = _copy(stream, folder / "scan")
            return self._keep(file_id, size, read_images(folder / "scan", self.settings, self._pixels), folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def add_once(self, content: bytes) -> Upload:
        """Keep a picture that comes with each turn of a conversation once."""
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        with self._lock:
            known = self._files.get(self._by_content.get(digest, ""))
        if known is not None and known.expires_at >= time.time():
            return self.file(known.file_id)
        added = self.add(io.BytesIO(content))
        with self._lock:
            self._by_content[digest] = added.file_id
        return added

    def add_images(self, images: tuple[SharedImage, ...], size: int) -> Upload:
        """Keep images that came from no file: the example."""
        return self._keep(f"file-{secrets.token_hex(12)}", size, images, None)

    def _keep(self, file_id: str, size: int, images: tuple[SharedImage, ...], folder: Path | None) -> Upload:
        now = time.time()
        upload = Upload(file_id, size, now, now + self.settings.file_seconds, images, folder, now)
        with self._lock:
            self._files[file_id] = upload
            self._make_room()
        return upload

    def file(self, file_id: str) -> Upload:
        """Return a file. Raises Refusal (404) for one that is not there, or no longer."""
        with self._lock:
            upload = self._files.get(file_id)
            if upload is not None and upload.expires_at < time.time():
                self._forget(upload)
                upload = None
            if upload is None:
                raise Refusal(
                    404,
                    "There is no such file.",
                    "Files are kept for some hours, and not over a restart of the server.",
                    "Send it again.",
                )
            upload.used_at = time.time()
            return upload

    def image(self, image_id: str) -> SharedImage | None:
        """Return an image of any upload, None where there is none of that id."""
        with self._lock:
            for upload in reversed(self._files.values()):
                for image in upload.images:
                    if image.image_id == image_id and upload.expires_at >= time.time():
                        upload.used_at = time.time()
                        return image
        return None

    def delete(self, file_id: str) -> None:
        """Forget a file and its bytes. Raises Refusal (404) for one that is not there."""
        upload = self.file(file_id)
        with self._lock:
            self._forget(upload)

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            self._files.clear()
        shutil.rmtree(self.root, ignore_errors=True)

    def _forget(self, upload: Upload) -> None:
        self._files.pop(upload.file_id, None)
        self._by_content = {k: v for k, v in self._by_content.items() if v != upload.file_id}
        left = {image.image_id for other in self._files.values() for image in other.images}
        for image in upload.images:
            if image.image_id not in left:
                self._pixels.drop(image.image_id)
        if upload.folder is not None:
            shutil.rmtree(upload.folder, ignore_errors=True)

    def _make_room(self) -> None:
        now = time.time()
        for upload in [u for u in self._files.values() if u.expires_at < now]:
            self._forget(upload)
        oldest = sorted(self._files.values(), key=lambda u: u.used_at)
        while len(oldest) > 1 and sum(u.bytes for u in self._files.values()) > self.settings.kept_bytes:
            self._forget(oldest.pop(0))


def _copy(stream: IO[bytes], path: Path) -> int:
    with path.open("xb") as out:
        shutil.copyfileobj(stream, out, _CHUNK)
        return out.tell()


def _sweep_dead() -> None:
    """Delete what a server that was killed left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists() and Path("/proc").exists():
            shutil.rmtree(folder, ignore_errors=True)
