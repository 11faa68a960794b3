"""M3D-Bench's scores as its scripts compute them (Bai 2024). Each fault is named where it is; do not mend them here.

Boxes are (z0, y0, x0, z1, y1, x1) as shares of the axis lengths, the last index included.
"""

from __future__ import annotations

import re
import string
from collections import Counter

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UsageError
from radfoundry.metrics.bleu import bleu_of_counts
from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.rouge import Rouge, f_measure
from radfoundry.metrics.tokens import mt_tokens, shared_count

__all__ = [
    "bleu1",
    "box_iou",
    "box_score",
    "closed_is_right",
    "exact_match",
    "extract_box",
    "judge_score",
    "mask_box",
    "recall_at_k",
    "rouge1",
    "soft_dice",
    "token_f1",
]

Box = tuple[float, ...]

_NUMBER = r"[-+]?(?:\d*\.\d+|\d+)"
_BOX = re.compile(r"\[" + ", ".join([f"({_NUMBER})"] * 6) + r"\]")
_EPSILON = 1e-6


def mask_box(mask: npt.NDArray[np.generic]) -> Box:
    """First and last index where a mask `[z, y, x]` is set, over the axis lengths, rounded to three decimals.

    Fault: the last index is not exclusive, so a structure one voxel thick has no volume.
    """
    found = np.argwhere(mask)
    corners = np.concatenate([found.min(0), found.max(0)]) / np.tile(mask.shape, 2)
    return tuple(round(float(corner), 3) for corner in corners)


def extract_box(text: str) -> Box | None:
    """The first box in a text. Fault: only ", " may part the numbers, and "1." is no number."""
    match = _BOX.search(text)
    return tuple(float(number) for number in match.groups()) if match else None


def box_iou(first: Box, second: Box) -> float:
    """Intersection over the *enclosing* box plus 1e-6 of the volume, called IoU.

    Faults: no union; the constant halves the score of a perfect small box; corners are not checked.
    """
    a, b = np.array(first), np.array(second)
    shared = np.prod(np.clip(np.minimum(a[3:], b[3:]) - np.maximum(a[:3], b[:3]), 0, None))
    hull = np.prod(np.maximum(a[3:], b[3:]) - np.minimum(a[:3], b[:3]))
    return float(shared / (hull + _EPSILON))


def box_score(prediction: str, reference: str) -> float:
    """IoU of the boxes in two texts. Fault: -1, not 0, where either has none, so the column's mean is wrong."""
    said, true = extract_box(prediction), extract_box(reference)
    return box_iou(said, true) if said and true else -1.0


def closed_is_right(prediction: str, letter: str) -> float:
    """Whether the letter and a full stop occur. Fault: anywhere, so listing all choices is right and "(A)" is wrong."""
    return float(f"{letter}." in prediction)


def exact_match(prediction: str, reference: str) -> float:
    """Equal numbers, or the reference inside the prediction, case and blanks aside. Fault: containing is not equal.

    A reference that normalises to nothing matches what normalises to nothing.
    """
    if not _normalise(reference):
        return float(not _normalise(prediction))
    try:
        return float(float(prediction) == float(reference))
    except ValueError:
        return float(_squeeze(reference) in _squeeze(prediction))


def token_f1(prediction: str, reference: str) -> float:
    """F of shared words after lower-casing and dropping punctuation and articles."""
    said, true = _normalise(prediction).split(), _normalise(reference).split()
    return f_measure(shared_count(Counter(said), Counter(true)), len(said), len(true))


def bleu1(prediction: str, reference: str) -> float:
    """BLEU-1 of one pair, 13a tokens, cased, with brevity penalty. Fault: an empty side stops the program.

    Raises:
        ZeroDivisionError: a side is empty, as published.
    """
    said, true = mt_tokens(prediction.strip(), False), mt_tokens(reference.strip(), False)
    if not said or not true:
        raise ZeroDivisionError("published BLEU divides by the length of an empty text")
    shared = shared_count(Counter(said), Counter(true))
    return float(bleu_of_counts(np.array([shared, len(said), len(said), len(true)], dtype=np.float64)))


def rouge1(prediction: str, reference: str) -> float:
    """ROUGE-1 F of one pair, unstemmed."""
    return Rouge("1").score(prediction.strip(), reference.strip())


def soft_dice(logits: FloatArray, target: FloatArray) -> float:
    """Mean over the first axis of 2 sum(pt) / (sum p + sum t + 1), p the sigmoid of the logits, target -1 as 0.

    Faults: probabilities instead of a mask; smoothing below only, so an empty truth is 0 whatever is answered; a target
    of one voxel is broadcast over the prediction.
    """
    odds = np.exp(-np.abs(np.maximum(logits, -1e4), dtype=np.float64))
    likely = np.where(logits >= 0, 1 / (1 + odds), odds / (1 + odds)).reshape(len(logits), -1)
    true = np.where(target == -1, 0, target).astype(np.float64).reshape(len(target), -1)
    return float(np.mean(2 * (likely * true).sum(1) / (likely.sum(1) + true.sum(1) + 1)))


def recall_at_k(similarity: FloatArray, k: int) -> float:
    """The share of rows whose own column is among the `k` highest; called IR for rows of images, TR for rows of texts.

    Faults: what is called image retrieval ranks *texts* for an image; ties go to the earlier column; see Raises.

    Raises:
        UsageError: `k` exceeds the number of columns, where the published code stops too.
    """
    if k > similarity.shape[1]:
        raise UsageError(f"k = {k} of {similarity.shape[1]} candidates", "the published code cannot do it", "cap k")
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return float((best == np.arange(len(similarity))[:, None]).any(1).mean())


def judge_score(text: str) -> float | None:
    """The judge's number. Fault: without decimals ("Score: 85") it is lost."""
    match = re.search(r"Score: (\d+\.\d+)", text)
    return float(match.group(1)) if match else None


def _normalise(text: str) -> str:
    bare = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _squeeze(text: str) -> str:
    return text.lower().replace(" ", "")
