"""DICOM modality codes in words."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MODALITY_CHOICES", "ModalityWords", "modality_words"]


class ModalityWords(NamedTuple):
    """The usual short name, and a phrase with its article."""

    short: str
    phrase: str


MODALITY_CHOICES = ("CT", "MR", "PET", "X-ray")
_XRAY = ModalityWords("X-ray", "an X-ray picture")
_WORDS = {
    "CT": ModalityWords("CT", "a computed tomography scan"),
    "MR": ModalityWords("MR", "a magnetic resonance scan"),
    "PT": ModalityWords("PET", "a positron emission tomography scan"),
    "DX": _XRAY,
    "CR": _XRAY,
    "XR": _XRAY,
}


def modality_words(code: str) -> ModalityWords | None:
    """Return the words of a DICOM modality code, None for one that has no choice of its own."""
    return _WORDS.get(code)
