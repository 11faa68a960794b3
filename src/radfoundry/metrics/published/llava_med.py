"""LLaVA-Med's scores of visual questions, which LLaVA-Tri uses too. Each fault is named where it is; do not mend them.

Open questions report the mean of `recall`, closed ones the mean of `substring_hit`.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

__all__ = ["OpenScore", "normalise", "open_recall", "open_score", "substring_hit"]

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_THOUSANDS = re.compile(r"\d,\d")
_STOP = re.compile(r"\.(?!\d)")
_ARTICLES = ("a", "an", "the")
_NUMBERS = {"none": "0"} | {
    word: str(value)
    for value, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}


class OpenScore(NamedTuple):
    """What the published program prints of an open question."""

    exact_match: float
    f1: float
    precision: float
    recall: float


def open_score(prediction: str, reference: str) -> OpenScore:
    """Word overlap after `normalise`.

    Faults: shared words are counted as often as the prediction repeats them; "exact match" is distinct shared words over
    predicted words; two texts that normalise to nothing score 0.
    """
    said, true = Counter(normalise(prediction).split()), Counter(normalise(reference).split())
    if not said or not true:
        return OpenScore(0.0, 0.0, 0.0, 0.0)
    shared = sum(times for word, times in said.items() if word in true)
    missed = sum(times for word, times in true.items() if word not in said)
    if not shared:
        return OpenScore(0.0, 0.0, 0.0, 0.0)
    precision, recall = shared / said.total(), shared / (shared + missed)
    exact = sum(word in said for word in true) / said.total()
    return OpenScore(exact, 2 * precision * recall / (precision + recall), precision, recall)


def open_recall(prediction: str, reference: str) -> float:
    """The published number of an open question."""
    return open_score(prediction, reference).recall


def substring_hit(prediction: str, reference: str) -> float:
    """The published number of a closed question. Fault: "no" is inside "nodule", "normal" and "not"."""
    return float(reference.lower() in prediction.lower())


def normalise(text: str) -> str:
    """Lower case without punctuation and articles, number words as digits, contractions with their apostrophes.

    Faults: whether a mark is joined or parted depends on the rest of the text; only 32 full stops go.
    """
    text = text.lower()
    joined = text
    for mark in _MARKS:
        join = f"{mark} " in text or f" {mark}" in text or _THOUSANDS.search(text)
        joined = joined.replace(mark, "" if join else " ")
    words = [_NUMBERS.get(word, word) for word in _STOP.sub("", joined, count=32).split()]
    return " ".join(_contractions().get(word, word) for word in words if word not in _ARTICLES).replace(",", "")


@lru_cache(maxsize=1)
def _contractions() -> dict[str, str]:
    """Each contraction by its spellings with one apostrophe left out."""
    text = files("radfoundry.metrics.published").joinpath("contractions.txt").read_text("utf-8")
    spellings = {
        form[:at] + form[at + 1 :]: form for form in text.split() for at, letter in enumerate(form) if letter == "'"
    }
    return spellings | {"somebody'd": "somebodyd"}  # the published list has this pair the wrong way round
