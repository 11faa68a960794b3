"""The cache of the model view: made once, mapped from disk, one writer at a time, safe to kill."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from radfoundry.errors import MachineError
from radfoundry.studies.cache import ViewCache

RULE = {"shape": (4, 4, 4), "window": "lung", "fill": -1.0}
ARRAY = np.arange(64, dtype=np.float32).reshape(4, 4, 4)


def never() -> np.ndarray:
    raise AssertionError("made twice")


def test_an_entry_is_made_once_and_mapped_read_only(tmp_path: Path) -> None:
    cache = ViewCache(tmp_path)
    first = cache.get("img_1", RULE, lambda: ARRAY)
    again = ViewCache(tmp_path).get("img_1", dict(reversed(RULE.items())), never)
    for array in (first, again):
        assert isinstance(array, np.memmap)
        assert np.array_equal(array, ARRAY)
        assert not array.flags.writeable


def test_content_and_rule_are_the_key(tmp_path: Path) -> None:
    cache = ViewCache(tmp_path)
    paths = {
        cache.path("a", RULE),
        cache.path("b", RULE),
        cache.path("a", {**RULE, "window": "bone"}),
        cache.path("a", {}),
    }
    assert len(paths) == 4


def test_an_entry_cut_short_is_made_again(tmp_path: Path) -> None:
    cache = ViewCache(tmp_path)
    cache.get("a", RULE, lambda: ARRAY)
    path = cache.path("a", RULE)
    path.write_bytes(path.read_bytes()[:-10])
    assert np.array_equal(cache.get("a", RULE, lambda: ARRAY), ARRAY)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    made = []

    def make() -> np.ndarray:
        made.append(1)
        time.sleep(0.1)
        return ARRAY

    with ThreadPoolExecutor(6) as pool:
        for array in pool.map(lambda _: ViewCache(tmp_path).get("a", RULE, make), range(6)):
            assert np.array_equal(array, ARRAY)
    assert made == [1]


def test_a_writer_killed_midway_leaves_nothing_behind_but_work(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import numpy as np, time, pathlib
        from radfoundry.studies.cache import ViewCache
        def make():
            print("making", flush=True)
            time.sleep(60)
        ViewCache(pathlib.Path({str(tmp_path)!r})).get("a", {RULE!r}, make)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"making\n"
        process.kill()
        process.wait()
    start = time.monotonic()
    assert np.array_equal(ViewCache(tmp_path).get("a", RULE, lambda: ARRAY), ARRAY)
    assert time.monotonic() - start < 5


def test_a_file_left_aside_by_a_killed_writer_is_written_over(tmp_path: Path) -> None:
    cache = ViewCache(tmp_path)
    path = cache.path("a", RULE)
    path.parent.mkdir(parents=True)
    path.with_suffix(".part").write_bytes(b"half")
    assert np.array_equal(cache.get("a", RULE, lambda: ARRAY), ARRAY)
    assert not path.with_suffix(".part").exists()


def test_an_error_while_making_leaves_no_entry(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        ViewCache(tmp_path).get("a", RULE, never)
    assert np.array_equal(ViewCache(tmp_path).get("a", RULE, lambda: ARRAY), ARRAY)


def test_trim_removes_what_was_unused_for_longest(tmp_path: Path) -> None:
    cache = ViewCache(tmp_path)
    for name in ("old", "new"):
        cache.get(name, RULE, lambda: ARRAY)
        time.sleep(0.02)
    size = cache.path("old", RULE).stat().st_size
    assert cache.trim(2 * size) == 0
    assert cache.trim(size) == size
    assert not cache.path("old", RULE).exists()
    assert cache.path("new", RULE).exists()


def test_a_disk_that_refuses_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"):
        ViewCache(tmp_path / "file").get("a", RULE, lambda: ARRAY)
