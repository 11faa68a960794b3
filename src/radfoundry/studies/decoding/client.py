"""The parent's side: one long-lived child a process, asked one picture at a time, ended when it is late or gone.

The child is a fresh interpreter rather than a fork of this one, so that it works from threads, notebooks and pool workers alike.
What comes back is JSON and raw samples, never a pickle: a codec that was taken over cannot reach the parent.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt

from radfoundry.errors import LimitError, RowError, UnreadableError
from radfoundry.studies.limits import Limits
from radfoundry.studies.samples import raw_bytes

__all__ = ["Decoded", "decode"]

_ERRORS: dict[str, type[RowError]] = {"UnreadableError": UnreadableError, "LimitError": LimitError}


@dataclass(frozen=True)
class Decoded:
    """Samples as the codec gave them, `[frame, y, x]` or `[frame, y, x, colour]`, and what the child says about them."""

    pixels: npt.NDArray
    facts: dict[str, Any]


def decode(operation: Literal["dicom", "raster"], data: bytes, name: str, limits: Limits, frame: int = -1) -> Decoded:
    """Decode a whole file in the child; `frame` picks one of several (-1: all).

    Raises UnreadableError where the codec refuses, crashes or hangs, or where none that is installed knows the syntax (the mend names
    the extra that has it); LimitError where it wants too much memory.
    """
    with _LOCK:
        child = _child(limits)
        try:
            return child.ask(
                {
                    "operation": operation,
                    "name": name,
                    "frame": frame,
                    "bytes": len(data),
                    "image_bytes": limits.image_bytes,
                },
                data,
                limits,
            )
        except (BrokenPipeError, EOFError) as error:
            child.end()
            raise UnreadableError(
                f"{name} made its decoder crash",
                "the process that decodes pictures ended",
                "re-encode the file",
                code="decoder-crash",
            ) from error
        except TimeoutError as error:
            child.end()
            raise UnreadableError(
                f"{name} takes too long to decode",
                f"over {limits.seconds:g} s",
                "raise Limits.seconds",
                code="limit-seconds",
            ) from error


class _Child:
    def __init__(self, limits: Limits) -> None:
        self.owner, self.bound = os.getpid(), limits.image_bytes
        command = [sys.executable, "-P", "-m", "radfoundry.studies.decoding.child", str(limits.image_bytes)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self._in, self._out = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    @property
    def usable(self) -> bool:
        return self.owner == os.getpid() and self._process.poll() is None

    def ask(self, head: dict[str, Any], data: bytes, limits: Limits) -> Decoded:
        deadline = time.monotonic() + limits.seconds
        raw = json.dumps(head).encode()
        self._in.write(struct.pack("<I", len(raw)) + raw)
        self._in.write(data)
        self._in.flush()
        (size,) = struct.unpack("<I", self._read(4, deadline))
        reply = json.loads(bytes(self._read(size, deadline)))
        if "error" in reply:
            raise _error(reply)
        return self._samples(reply, limits, deadline)

    def _samples(self, reply: dict[str, Any], limits: Limits, deadline: float) -> Decoded:
        shape, dtype = tuple(int(n) for n in reply["shape"]), np.dtype(reply["dtype"])
        limits.check_array(shape, dtype.itemsize, str(reply["name"]))
        pixels = np.empty(shape, dtype)
        if pixels.size:
            self._read_into(raw_bytes(pixels), deadline)
        return Decoded(pixels, reply["facts"])

    def _read(self, size: int, deadline: float) -> bytearray:
        buffer = bytearray(size)
        self._read_into(memoryview(buffer), deadline)
        return buffer

    def _read_into(self, view: memoryview, deadline: float) -> None:
        done, pipe = 0, self._out.fileno()
        while done < len(view):
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            count = os.readv(pipe, [view[done:]])
            if count == 0:
                raise EOFError
            done += count

    def end(self) -> None:
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
        for pipe in (self._in, self._out):
            # a dead child's pipe may still hold what was never sent
            try:
                pipe.close()
            except BrokenPipeError:
                continue


_LOCK = threading.RLock()
_CHILDREN: list[_Child] = []


def _child(limits: Limits) -> _Child:
    if _CHILDREN and _CHILDREN[0].usable and _CHILDREN[0].bound >= limits.image_bytes:
        return _CHILDREN[0]
    _end_children()
    _CHILDREN.append(_Child(limits))
    return _CHILDREN[0]


@atexit.register
def _end_children() -> None:
    while _CHILDREN:
        _CHILDREN.pop().end()


def _error(reply: dict[str, Any]) -> Exception:
    what, why, mend, code = (str(reply[key]) for key in ("what", "why", "mend", "code"))
    return _ERRORS.get(str(reply["error"]), UnreadableError)(what, why, mend, code=code)
