"""MedEvalKit's rules for closed and multiple-choice answers (2025). Each fault is named where it is; do not mend them.

Not reproduced: answers inside a LaTeX box or an <answer> tag, which the program unwraps first.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

__all__ = ["choice_is_right", "yes_no_is_right"]

_MARKS = ("**answer**:", "**answer**", "*answer*:", "**answer:**", "answer is", "answer:", "final answer")


def yes_no_is_right(prediction: str, reference: str) -> float:
    """Whether just one of "yes" and "no" occurs and the reference occurs too.

    Fault: inside words, so "Yes, there is a nodule" has both, and "normal heart" says no.
    """
    said = _after_marks(prediction.lower()).replace("\n", "").replace(".", "")
    return float((("yes" in said) != ("no" in said)) and reference.lower() in said)


def choice_is_right(prediction: str, letter: str, choices: Sequence[str]) -> float:
    """Whether the answer is the right letter or choice. Fault: what is neither counts as the most similar choice,
    and as the first one where nothing is similar, so garbage earns points."""
    texts = [choice.lower() for choice in choices]
    letters = [chr(ord("a") + at) for at in range(len(texts))]
    paragraphs = prediction.lower().split("\n\n")
    said = prediction.lower()
    if paragraphs[0] in letters:
        said = paragraphs[0]
    elif paragraphs[-1].split(".")[0] in letters:
        said = paragraphs[-1].split(".")[0]
    said = _after_marks(said).strip().replace("\n", "")
    short = said.split(".")[0].split(":")[-1]
    if short in letters:
        return float(short == letter.lower())
    if short in texts:
        return float(letters[texts.index(short)] == letter.lower())
    likeness = [SequenceMatcher(None, text, said).ratio() for text in texts]
    return float(letters[likeness.index(max(likeness))] == letter.lower())


def _after_marks(text: str) -> str:
    for mark in _MARKS:
        text = text.split(mark)[-1]
    return text
