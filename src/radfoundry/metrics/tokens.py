"""Words of a text, in the two ways metrics count them, and the form in which two short answers are compared."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

__all__ = ["distinct_sentences", "mt_tokens", "ngrams", "normalise_answer", "shared_count", "words"]

T = TypeVar("T")

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?")
_TOKENIZER_13A = Tokenizer13a()  # type: ignore[no-untyped-call]
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip


@lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """Lower-case words and numbers without punctuation; "3.5" and "1,000" stay one word, "well-defined" is two."""
    return tuple(_number(word) for word in _WORD.findall(unicodedata.normalize("NFKC", text).replace("’", "'").lower()))


@lru_cache(maxsize=65536)
def normalise_answer(text: str) -> str:
    """The form in which short answers are equal: words, number words as digits, no articles unless only they are left."""
    numbered = [_NUMBERS.get(word, word) for word in words(text)]
    return " ".join([word for word in numbered if word not in _ARTICLES] or numbered)


@lru_cache(maxsize=65536)
def mt_tokens(text: str, lowercase: bool = True) -> tuple[str, ...]:
    """Tokens by the rule of the machine-translation evaluations (mteval-v13a, sacrebleu's code): punctuation stays."""
    return tuple(_TOKENIZER_13A(text.lower() if lowercase else text).split())


def ngrams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    """How often each run of `order` tokens occurs."""
    return Counter(zip(*(tokens[start:] for start in range(order)), strict=False))


def shared_count(first: Counter[T], second: Counter[T]) -> int:
    """How many items two multisets share, each as often as both hold it."""
    return sum(min(times, second[item]) for item, times in first.items() if item in second)


def distinct_sentences(sentences: Iterable[str]) -> str:
    """Sentences joined by blanks, each once: a reference made of rows per region holds some sentences twice."""
    first: dict[tuple[str, ...], str] = {}
    for sentence in sentences:
        first.setdefault(words(sentence), sentence.strip())
    return " ".join(first.values())


def _number(word: str) -> str:
    """One spelling of a number: "1,000" is "1000", "3.50" is "3.5"; "3.5.2" stays."""
    if not word[0].isdigit():
        return word
    word = _THOUSANDS.sub("", word)
    return word.rstrip("0").rstrip(".") if word.count(".") == 1 and "," not in word else word
