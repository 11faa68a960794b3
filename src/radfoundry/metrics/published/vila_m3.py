"""MONAI VILA-M3's score of VQA-RAD (2025), which other harnesses share for closed answers."""

from __future__ import annotations

__all__ = ["equal_text"]


def equal_text(prediction: str, reference: str) -> float:
    """Whether the lower-case texts are the same. Fault: "Yes." and "The answer is yes" are not "yes"."""
    return float(prediction.lower() == reference.lower())
