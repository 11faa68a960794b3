"""What a report says, read by the language rules for scoring: statements, published labels, sentences with the places they name."""

from __future__ import annotations

from functools import lru_cache

from radfoundry.errors import LimitError
from radfoundry.grounding.linker import RuleLinker
from radfoundry.language import find_findings, label_report, parse_report
from radfoundry.metrics import GroundedSentence, Place, Statement

__all__ = ["LONGEST_READ", "grounded", "labels", "statements"]

LONGEST_READ = 20_000
"""Characters of an answer that are read: a longer one is no report, and answers are hostile text."""

_REMEMBERED = 65_536  # texts: each finding score goes over all answers again
_STATED = ("findings", "impression")


@lru_cache(_REMEMBERED)
def statements(text: str) -> frozenset[Statement]:
    """Return each finding that a text states or denies, with its side; what it tells of an earlier examination alone is none."""
    made = [one for sentence in _sentences(text) for one in find_findings(sentence) if one.temporal != "past"]
    return frozenset(Statement(one.concept, one.presence, one.side) for one in made)


@lru_cache(_REMEMBERED)
def labels(text: str, label_set: str) -> frozenset[str]:
    """Return the labels of a published set ("ct-rate", "nih") that a text makes true."""
    return frozenset(name for name, true in label_report(text[:LONGEST_READ], label_set).items() if true)


@lru_cache(_REMEMBERED)
def grounded(text: str) -> tuple[GroundedSentence, ...]:
    """Return the sentences of a text with the regions that the rules find in them."""
    sentences = _sentences(text)
    try:
        mentions = _linker().link(sentences)
    except LimitError:
        return ()
    return tuple(
        GroundedSentence(sentence, tuple(Place(m.name, m.side) for m in found))
        for sentence, found in zip(sentences, mentions, strict=True)
    )


def _sentences(text: str) -> list[str]:
    return [sentence.text for sentence in parse_report(text[:LONGEST_READ]).of(*_STATED)]


@lru_cache(1)
def _linker() -> RuleLinker:
    return RuleLinker("clean")
