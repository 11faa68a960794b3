"""Reading an answer strictly: what cannot be read for sure is None, never a guess.

Whoever scores counts a None as wrong, and shows it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from radfoundry.metrics.tokens import normalise_answer, words

__all__ = ["find_boxes", "parse_box", "parse_choice", "parse_closed"]

_YES = frozenset({"yes", "yeah", "yep"})
_NO = frozenset({"no", "nope"})
_DENIALS = frozenset({"not", "no", "neither", "nor", "without", "except", "than"})

_WHOLE_LETTER = re.compile(r"[\s\"'(\[{*]*([A-Za-z])[\s\"')\]}*.:,;!]*")
_LEADING_LETTER = re.compile(r"[\s\"'*]*(?:[(\[]([A-Za-z])[)\]]|([A-Za-z])\s*[).:,\]])")
_MARKED_LETTER = re.compile(r"[(\[]([A-Z])[)\]]|(?<![A-Za-z0-9.])([A-Z])[).:](?!\w)")
_NAMED_LETTER = re.compile(
    r"\b(?i:answer|option|choice)\b(?:\s+is|\s+would\s+be)?\s*(?::\s*)?[\"'(\[*]*"
    r"([A-Z]\b(?!['\w])|[a-z](?=[\s).:\]]*$))"
)
_LETTER_LIST = re.compile(r"\b[A-Z](?:(?:\s*[,/&]\s*|\s+)(?:and\s+|or\s+)?[A-Z]\b)+")
_LETTER_THEN_TEXT = re.compile(r"[\s\"'*]*([A-Z])\s+(.+)", re.DOTALL)

# answers are hostile text: no pattern here may try one character in two ways, or a long answer takes for ever
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_BRACKETED = re.compile(rf"[\[(]\s*({_NUMBER}(?:\s*[,;]\s*{_NUMBER})*)\s*(?:,\s*)?[\])]")


def parse_closed(text: str) -> str | None:
    """ "yes", "no", or None: the one kind of yes/no word that the answer contains.

    Words are whole ("nodule", "normal" and "not" are no "no"), and an answer with both kinds is no answer.
    """
    found = set(words(text))
    says_yes, says_no = bool(found & _YES), bool(found & _NO)
    if says_yes == says_no:
        return None
    return "yes" if says_yes else "no"


def parse_choice(text: str, choices: Sequence[str]) -> str | None:
    """The letter "A", "B", ... of the one choice that the answer names by its letter, its text, or both.

    "B", "b.", "(B)", "B) liver", "The answer is B", "B liver" and "liver" are read. An answer that names
    several choices, contradicts itself ("A. kidney" where A is the liver), denies what it names, or names none, is None.
    """
    letters = [chr(ord("A") + i) for i in range(len(choices))]
    whole = _WHOLE_LETTER.fullmatch(text)
    if whole:
        letter = whole.group(1).upper()
        return letter if letter in letters else None
    named = _letters_in(text, letters) | _choices_in(text, choices, letters)
    return named.pop() if len(named) == 1 and None not in named else None


def find_boxes(text: str, numbers: int = 6) -> list[tuple[float, ...]]:
    """Every bracketed list of exactly `numbers` numbers, in the order and unit of the text, blanks as one likes."""
    lists = [re.findall(_NUMBER, match.group(1)) for match in _BRACKETED.finditer(text)]
    return [tuple(float(value) for value in values) for values in lists if len(values) == numbers]


def parse_box(text: str, numbers: int = 6) -> tuple[float, ...] | None:
    """The one box that a text states (once, or repeated); None if there is none, or if several differ."""
    distinct = set(find_boxes(text, numbers))
    return distinct.pop() if len(distinct) == 1 else None


def _letters_in(text: str, letters: Sequence[str]) -> set[str | None]:
    """Letters that are marked as such: by brackets, a stop, the word "answer", or standing first before a stop."""
    found = [*_MARKED_LETTER.findall(text), *((letter,) for letter in _NAMED_LETTER.findall(text))]
    found += [tuple(re.findall(r"\b[A-Z]\b", listed)) for listed in _LETTER_LIST.findall(text)]
    leading = _LEADING_LETTER.match(text)
    if leading:
        found.append(leading.groups())
    marked = {letter.upper() for group in found for letter in group if letter}
    return {letter for letter in marked if letter in letters}


def _choices_in(text: str, choices: Sequence[str], letters: Sequence[str]) -> set[str | None]:
    """Letters of the choices whose words occur, the longest first so that "left kidney" is not also "kidney".

    "B liver" also counts as letter B when the text after the letter is choice B and nothing else.
    None is in the set if a mention is denied.
    """
    normal = [normalise_answer(choice) for choice in choices]
    first = _LETTER_THEN_TEXT.match(text)
    if (
        first
        and first.group(1) in letters
        and normalise_answer(first.group(2)) == normal[letters.index(first.group(1))]
    ):
        return {first.group(1)}
    left = f" {normalise_answer(text)} "
    found: set[str | None] = set()
    for choice, letter in sorted(zip(normal, letters, strict=True), key=lambda pair: -len(pair[0])):
        if not choice or f" {choice} " not in left:
            continue
        before = left[: left.index(f" {choice} ")].split()
        found.add(None if _DENIALS & set(before[-2:]) else letter)
        left = left.replace(f" {choice} ", " | ")
    return found
