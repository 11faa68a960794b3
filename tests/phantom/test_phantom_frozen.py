"""Version 1 is frozen: the same arguments give the same bytes, on any machine and under any NumPy."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from radfoundry.errors import UsageError
from radfoundry.phantom import PHANTOM_VERSION, Phantom, make_phantom

FROZEN = {
    (0, 0, "train"): "4b6c451f7d5c24b5857f00b6a6045ad1",
    (7, 3, "validation"): "2b0fcdefd54731a833a37f0e75560df3",
    (12, 0, "test"): "7c80dce0ecf415779c8a3dde2fa9f59d",
}


def fingerprint(phantom: Phantom) -> str:
    digest = hashlib.sha256()
    for study in (phantom.prior, phantom):
        if study is not None:
            for array in (study.volume, study.labels, study.organs, study.xray, study.xray_labels):
                digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
            digest.update(repr((study.key, study.report, study.xray_report, study.label_names)).encode())
    return digest.hexdigest()[:32]


@pytest.mark.parametrize(("index", "seed", "split"), FROZEN)
def test_the_bytes_of_version_1_have_not_changed(index: int, seed: int, split: str) -> None:
    assert PHANTOM_VERSION == 1
    assert fingerprint(make_phantom(index, seed=seed, split=split)) == FROZEN[index, seed, split]


def test_the_same_arguments_give_the_same_study() -> None:
    a, b = make_phantom(5), make_phantom(5)
    assert np.array_equal(a.volume, b.volume)
    assert (a.report, a.truth, a.key) == (b.report, b.truth, b.key)


@pytest.mark.parametrize("other", [{"index": 6}, {"index": 5, "seed": 1}, {"index": 5, "split": "test"}])
def test_another_index_seed_or_split_is_another_patient(other: dict) -> None:
    mine, theirs = make_phantom(5), make_phantom(**other)
    assert mine.patient_key != theirs.patient_key
    assert not np.array_equal(mine.volume, theirs.volume)


def test_global_random_state_is_neither_used_nor_changed() -> None:
    before = np.random.get_state()[1].copy()
    make_phantom(1)
    assert np.array_equal(np.random.get_state()[1], before)


def test_unknown_sizes_and_splits_are_refused() -> None:
    with pytest.raises(UsageError, match="no phantom size 'huge'"):
        make_phantom(0, size="huge")
    with pytest.raises(UsageError, match="no split 'dev'"):
        make_phantom(0, split="dev")
