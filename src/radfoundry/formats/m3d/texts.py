"""M3D's texts: what of a report is kept, how one is shortened for retrieval, how a question with options is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["LETTERS", "NO_CHOICE", "asked", "kept_text", "plain_name", "settle_seg", "shortened"]

LETTERS = "ABCD"
NO_CHOICE = "NA"
_TOO_SHORT = 5  # characters, blanks not counted


def kept_text(report: str) -> str:
    """Return what M3D-Cap keeps of a case's text: all after the first `study_findings:`, later sections included.

    Where less than five characters are left, what follows `discussion:`, else the whole text.
    """
    found = _after(report, "study_findings:")
    if _count(found) < _TOO_SHORT:
        found = _after(report, "discussion:")
    return found if _count(found) >= _TOO_SHORT else _one_line(report)


def _after(report: str, header: str) -> str:
    _, met, rest = report.partition(header)
    return _one_line(rest if met else report)


def _one_line(text: str) -> str:
    return text.replace("\n", " ").strip()


def _count(text: str) -> int:
    return len(text.replace(" ", ""))


def plain_name(series: str) -> str:
    """Return a series name without accents, as it is written on disk."""
    return unicodedata.normalize("NFKD", series).encode("ascii", "ignore").decode("ascii")


def shortened(report: str, most: int, count: Callable[[str], int], rng: np.random.Generator) -> str:
    """Return a report of at most about `most` tokens as M3D-CLIP is given it; `count` counts a text's tokens, specials included.

    A longer report keeps its first sentence, which is not counted, and randomly drawn others, each counted with specials of its own,
    in the order in which they are drawn; also in the test. Sentences end at every full stop.
    """
    if count(report) <= most:
        return report
    sentences = report.split(".")
    kept, used = [sentences[0]], 0
    for sentence in (sentences[i] for i in rng.permutation(len(sentences))):
        if sentence in kept:
            continue
        used += count(sentence)
        if used > most:
            break
        kept.append(sentence)
    return ".".join(kept)


def asked(question: str, choices: Sequence[str]) -> str:
    """Return a question with its options: "... Choices: A. liver B. spleen C. NA D. NA"; without options the question alone."""
    if not any(choice != NO_CHOICE for choice in choices):
        return question
    return f"{question} Choices: " + " ".join(f"{letter}. {c}" for letter, c in zip(LETTERS, choices, strict=True))


def settle_seg(answer: str) -> str:
    """Return an answer with the model's own mask token: the answers that a language model wrote have `<SEG>` as well."""
    return answer.replace("<SEG>", "[SEG]")
