"""The decoder in its own process: it survives, is replaced, and hands nothing but samples back."""

from __future__ import annotations

import io
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radfoundry.errors import LimitError, UnreadableError
from radfoundry.studies import Limits
from radfoundry.studies.decoding import client, codecs, decode

LIMITS = Limits()


def png(size: int = 16) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.arange(size * size, dtype=np.uint8).reshape(size, size)).save(out, "PNG")
    return out.getvalue()


def child_pid() -> int:
    decode("raster", png(), "a.png", LIMITS)
    return client._CHILDREN[0]._process.pid


def test_one_child_serves_many_pictures() -> None:
    assert child_pid() == child_pid() != os.getpid()


def test_a_killed_child_is_named_once_and_replaced() -> None:
    first = child_pid()
    os.kill(first, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (first, signal.SIGKILL)).start()
    with pytest.raises(UnreadableError, match="made its decoder crash"):
        decode("raster", png(), "a.png", LIMITS)
    assert child_pid() != first


def test_a_child_that_died_meanwhile_is_replaced_unseen() -> None:
    first = child_pid()
    os.kill(first, signal.SIGKILL)
    client._CHILDREN[0]._process.wait()
    assert child_pid() != first


def test_a_picture_that_takes_too_long_ends_its_child() -> None:
    first = child_pid()
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(UnreadableError, match="takes too long to decode"):
        decode("raster", png(), "a.png", Limits(seconds=0.2))
    assert child_pid() != first


def test_threads_share_one_child() -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: decode("raster", png(n), "a.png", LIMITS).pixels.shape, range(4, 16)))
    assert results == [(1, n, n) for n in range(4, 16)]


def _in_a_worker(data: bytes) -> tuple[int, ...]:
    return decode("raster", data, "a.png", LIMITS).pixels.shape


def test_pool_workers_have_children_of_their_own() -> None:
    child_pid()
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        assert pool.submit(_in_a_worker, png()).result() == (1, 16, 16)


def test_a_process_that_forks_does_not_share_its_child() -> None:
    first = child_pid()
    read, write = os.pipe()
    if os.fork() == 0:  # pragma: no cover
        os.write(write, str(child_pid()).encode())
        os._exit(0)
    os.wait()
    assert int(os.read(read, 20)) != first
    assert child_pid() == first
    os.close(read)
    os.close(write)


def test_memory_is_bounded_by_the_header_of_the_picture() -> None:
    assert decode("raster", png(), "a.png", Limits(image_bytes=1024)).pixels.shape == (1, 16, 16)
    with pytest.raises(LimitError, match="image_bytes"):
        decode("raster", png(), "a.png", Limits(image_bytes=1023))


def test_a_child_cannot_take_more_memory_than_its_bound() -> None:
    import resource

    pid = child_pid()
    soft, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    assert soft == hard < 64 << 30


def test_a_missing_decoder_names_the_extra_that_has_it(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    single = shared_data / "dicom_edge" / "single"
    monkeypatch.setattr(codecs, "_has_decoder", lambda syntax: False)
    monkeypatch.setattr(codecs, "find_spec", lambda name: None)
    monkeypatch.setattr(codecs, "pixel_array", lambda *args, **kwargs: (_ for _ in ()).throw(RuntimeError("no plugin")))
    for name in ("JPEG-LL.dcm", "JPGExtended.dcm"):
        with pytest.raises(UnreadableError, match=r"pip install 'radfoundry\[dicom\]'") as caught:
            codecs.decode_dicom((single / name).read_bytes(), name, -1, LIMITS)
        assert caught.value.code == "missing-decoder"


def test_an_error_keeps_its_kind_on_the_way_back() -> None:
    with pytest.raises(UnreadableError, match="is no picture") as caught:
        decode("raster", b"hello", "a.png", LIMITS)
    assert (caught.value.code, caught.value.mend) == ("not-a-picture", "convert it to PNG")
