"""The secret that turns patient keys into ids."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["corpus_salt"]


def corpus_salt(path: Path, patient_keys: Iterable[str]) -> str:
    """Return the salt in `path`, made on first use from the corpus's own list of patients.

    Same patients, same salt, same ids on any machine, however the files lie; who does not hold the whole list cannot guess one
    patient's id. The file is the user's, to keep (later studies join the same patients) or to delete.
    """
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    digest = hashlib.blake2b(digest_size=16, person=b"radfoundry-salt")
    for key in sorted(set(patient_keys)):
        digest.update(key.encode("utf-8", "surrogatepass") + b"\0")
    salt = digest.hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(salt + "\n")
    os.replace(aside, path)
    return salt
