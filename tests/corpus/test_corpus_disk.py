"""A disk that fails the n-th write, rename or sync, for every n: what is there afterwards is whole, and resuming gives the same bytes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpus_toys import AskToys, ReadToys, SegmentToys, content, toys

from radfoundry.corpus import Pipeline, build, disk
from radfoundry.corpus.closing import close_corpus
from radfoundry.errors import MachineError


class FailingDisk:
    """Stands in for `os` in corpus/disk.py: counts writes, renames and syncs and refuses some."""

    def __init__(self, refuse: Callable[[int], bool], code: int = errno.EIO, torn: bool = False) -> None:
        self.calls, self._refuse, self._code, self._torn = 0, refuse, code, torn

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _turn(self) -> None:
        self.calls += 1
        if self._refuse(self.calls):
            raise OSError(self._code, os.strerror(self._code))

    def write(self, handle: int, data: memoryview) -> int:
        if self._torn and self._refuse(self.calls + 1):
            os.write(handle, data[: len(data) // 2])  # half of it reached the disk
        self._turn()
        return os.write(handle, data)

    def replace(self, source: Path, target: Path) -> None:
        self._turn()
        os.replace(source, target)

    def fsync(self, handle: int) -> None:
        self._turn()
        os.fsync(handle)


def small_pipeline() -> Pipeline:
    return Pipeline("toys", [ReadToys(), SegmentToys(), AskToys()], 2)


@pytest.fixture
def calm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr("radfoundry.corpus.wave._FIRST_PAUSE_S", 0)
    build(toys(3), small_pipeline(), tmp_path / "calm", workers=0)
    return content(tmp_path / "calm")


def operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Count what a build does: operations until its waves are committed, and in all."""
    counting, committed = FailingDisk(lambda n: False), list[int]()

    def closing(*given: Any) -> dict[str, int]:
        committed.append(counting.calls)
        return close_corpus(*given)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "os", counting)
        patch.setattr("radfoundry.corpus.engine.close_corpus", closing)
        build(toys(3), small_pipeline(), tmp_path / "counted", workers=0)
    return committed[0], counting.calls


def fail_and_resume(out: Path, shim: FailingDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(disk, "os", shim)
        with pytest.raises(MachineError):
            build(toys(3), small_pipeline(), out, workers=0)
    build(toys(3), small_pipeline(), out, workers=0)


def test_a_disk_that_dies_at_any_operation_is_survived(
    tmp_path: Path, calm: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    waves, total = operations(tmp_path, monkeypatch)
    assert total > waves > 40
    for n in range(1, total + 1, 5):  # every fifth here, every one in the slow test
        out = tmp_path / str(n)
        fail_and_resume(out, FailingDisk(lambda call, n=n: call >= n, torn=True), monkeypatch)
        assert content(out) == calm, f"operation {n}"


@pytest.mark.slow
def test_a_disk_that_dies_at_every_operation_is_survived(
    tmp_path: Path, calm: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(1, operations(tmp_path, monkeypatch)[1] + 1):
        out = tmp_path / str(n)
        fail_and_resume(out, FailingDisk(lambda call, n=n: call >= n, torn=True), monkeypatch)
        assert content(out) == calm, f"operation {n}"


def test_a_single_failed_operation_is_tried_again(
    tmp_path: Path, calm: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(1, operations(tmp_path, monkeypatch)[0] + 1, 5):
        out = tmp_path / str(n)
        with monkeypatch.context() as patch:
            patch.setattr(disk, "os", FailingDisk(lambda call, n=n: call == n, torn=True))
            build(toys(3), small_pipeline(), out, workers=0)
        assert content(out) == calm, f"operation {n}"


def test_a_full_disk_stops_at_once_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = FailingDisk(lambda call: call >= 9, code=errno.ENOSPC)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "os", shim)
        with pytest.raises(MachineError, match="is full") as caught:
            build(toys(3), small_pipeline(), tmp_path / "full", workers=0)
    assert "run the same command again" in caught.value.mend
    assert shim.calls <= 10, "a full disk is not tried again"


_FILL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from corpus_toys import toy_pipeline, toys
from radfoundry.corpus import build
from radfoundry.errors import MachineError
out = Path(sys.argv[2])
if __name__ == "__main__":
    try:
        build(toys(40), toy_pipeline(), out, workers=int(sys.argv[3]))
    except MachineError as error:
        print(error)
        raise SystemExit(1)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_small_file_system_that_fills_up_is_survived(tmp_path: Path, workers: int) -> None:
    small, script = tmp_path / "small", tmp_path / "fill.py"
    script.write_text(_FILL)
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount a file system")
    line = [sys.executable, str(script), str(Path(__file__).parent), str(small), str(workers)]
    try:
        first = subprocess.run(line, capture_output=True, text=True, check=False)
        assert (first.returncode, "is full" in first.stdout) == (1, True), first
        subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
        subprocess.run(line, check=True)
        calm = tmp_path / "calm"
        subprocess.run([*line[:3], str(calm), "0"], check=True)
        assert content(small) == content(calm)
    finally:
        subprocess.run(["umount", str(small)], check=False)
