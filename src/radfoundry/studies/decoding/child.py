"""The child's side: reads requests from standard input, writes samples to standard output, within a bounded address space."""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from radfoundry.errors import LimitError, RadfoundryError
from radfoundry.studies.decoding.client import Decoded
from radfoundry.studies.decoding.codecs import decode_dicom, decode_raster
from radfoundry.studies.limits import Limits

_OPERATIONS: dict[str, Callable[[bytes, str, int, Limits], Decoded]] = {"dicom": decode_dicom, "raster": decode_raster}
# the interpreter with its libraries, beside copies of one image
_BASE_BYTES = 4 << 30


def main(image_bytes: int) -> None:
    """Serve until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_BASE_BYTES + 4 * image_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # whatever a codec prints must not reach the parent as samples
    os.dup2(2, 1)
    while size := source.read(4):
        head = json.loads(source.read(*struct.unpack("<I", size)))
        _answer(head, source.read(head["bytes"]), Limits(image_bytes=head["image_bytes"]), sink)


def _answer(head: dict[str, Any], data: bytes, limits: Limits, sink: BinaryIO) -> None:
    try:
        decoded = _OPERATIONS[head["operation"]](data, head["name"], head["frame"], limits)
    except MemoryError:
        _send(sink, _refusal(LimitError(f"{head['name']} needs too much memory to decode", code="limit-image-bytes")))
    except RadfoundryError as error:
        _send(sink, _refusal(error))
    else:
        pixels = np.ascontiguousarray(decoded.pixels)
        facts = {"name": head["name"], "shape": pixels.shape, "dtype": pixels.dtype.str, "facts": decoded.facts}
        _send(sink, facts, pixels.data.cast("B") if pixels.size else b"")


def _refusal(error: RadfoundryError) -> dict[str, str]:
    return {"error": type(error).__name__, "what": error.what, "why": error.why, "mend": error.mend, "code": error.code}


def _send(sink: BinaryIO, head: dict[str, Any], data: memoryview | bytes = b"") -> None:
    raw = json.dumps(head).encode()
    sink.write(struct.pack("<I", len(raw)) + raw)
    sink.write(data)
    sink.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
