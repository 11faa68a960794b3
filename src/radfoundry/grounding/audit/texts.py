"""What of the text led nowhere: sentences without a region, and numbers that are no sizes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from radfoundry.grounding.audit.row import AuditRow
from radfoundry.grounding.statements import STATING
from radfoundry.language import find_findings, find_measurements, why_no_size
from radfoundry.language.matching import Lexicon, read_table
from radfoundry.records import Link, Sentence

__all__ = ["check_sentences", "check_sizes"]

_EXAMPLES = 3
# digits before a unit of length, or axes: what should be a size
_LOOKS_LIKE_A_SIZE = re.compile(r"\d\s*-?\s*(?:mm|cm|milli|centi)|\d\s*[x×*]\s*\d", re.IGNORECASE)


def check_sentences(sentences: Sequence[Sentence], links: Mapping[str, Sequence[Link]]) -> Iterator[AuditRow]:
    """Yield how many sentences of findings and impression have no region or no mask, by reason."""
    stating = [s for s in sentences if s.section in STATING]
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for sentence in stating:
        mine = links.get(sentence.sentence_id, ())
        if not mine:
            reasons["no region", why_no_region(sentence.text)].append(sentence.text)
        elif not any(link.groundable for link in mine):
            reasons["no mask", next(link.reason for link in mine)].append(sentence.text)
    for (what, why), texts in sorted(reasons.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1])):
        examples = tuple(dict.fromkeys(texts))[:_EXAMPLES]
        yield AuditRow(f"sentences with {what}", "note", why, len(texts), len(stating), "", examples)
    if not reasons:
        yield AuditRow("sentences with no region", "fine", "none", 0, len(stating))


def why_no_region(text: str) -> str:
    """Return why a sentence has no region: advice, history and the like; a finding without a place; nothing at all."""
    cues = [match.value for match in _cues().find(text.casefold())]
    if cues:
        return f"it is {_WORDS.get(cues[0], cues[0])}"
    if find_findings(text):
        return "a finding that may be anywhere, and no place is named"
    return "it names neither a region nor a finding" if re.search(r"[^\W\d_]", text) else "it has no words"


_WORDS = {
    "advice": "advice", "history": "history", "technique": "about how it was done or how well it can be seen",
    "general": "a remark on the whole",
}  # fmt: skip


@cache
def _cues() -> Lexicon[str]:
    return Lexicon((row["term"], row["kind"]) for row in read_table("linker_cues.tsv"))


def check_sizes(sentences: Sequence[Sentence]) -> Iterator[AuditRow]:
    """Yield how many sentences that seem to hold a size gave none, by reason."""
    seeming = [s for s in sentences if s.section in STATING and _LOOKS_LIKE_A_SIZE.search(s.text)]
    read = [s for s in seeming if find_measurements(s.text)]
    yield AuditRow("sizes", "fine", "read", len(read), len(seeming))
    lost: dict[str, list[str]] = defaultdict(list)
    for sentence in seeming:
        if reason := why_no_size(sentence.text):
            lost[reason].append(sentence.text)
    for reason, texts in sorted(lost.items()):
        yield AuditRow("sizes", "note", f"not read: {reason}", len(texts), len(seeming), "", tuple(texts[:_EXAMPLES]))
