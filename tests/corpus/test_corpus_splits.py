"""Splits by patient."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.corpus import split_of
from radfoundry.errors import UsageError


@given(st.text(), st.text(min_size=1))
def test_a_split_is_the_first_eight_bytes_of_the_salted_hash(salt: str, patient: str) -> None:
    place = int(hashlib.sha256((salt + patient).encode()).hexdigest()[:16], 16) / 2**64
    assert split_of(salt, patient) == ("train" if place < 0.8 else "validation" if place < 0.9 else "test")


def test_splits_have_their_shares() -> None:
    counts = Counter(split_of("salt", f"patient {i}") for i in range(10_000))
    assert abs(counts["train"] - 8000) < 200
    assert abs(counts["validation"] - 1000) < 120


def test_a_patient_without_a_key_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a key"):
        split_of("salt", "")
