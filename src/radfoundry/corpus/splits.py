"""Splits by patient: a salted hash decides, so a patient is on one side however many studies there are and whenever they arrive."""

from __future__ import annotations

import hashlib

from radfoundry.errors import UsageError
from radfoundry.records import Split

__all__ = ["split_of"]


def split_of(salt: str, patient_key: str) -> Split:
    """Return the split of a patient: the first 8 bytes of SHA-256(salt + key), as a number in [0, 1), cut at 0.8 and 0.9."""
    if not patient_key:
        raise UsageError("a patient needs a key", "an empty one would put all such patients into one split")
    head = hashlib.sha256((salt + patient_key).encode()).digest()[:8]
    place = int.from_bytes(head, "big") / 2**64
    if place < 0.8:
        return "train"
    return "validation" if place < 0.9 else "test"
