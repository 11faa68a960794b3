"""Which questions are answered by yes or no: by their first word, as they are worded in corpora."""

from __future__ import annotations

import re

__all__ = ["is_closed"]

_CLOSED = re.compile(
    r"(is|are|does|do|has|have|was|were|looking at [^,?]{1,80}, (is|are)|can [^.?!]{1,120} be seen)\b[^.?!]*\?$", re.I
)


def is_closed(question: str) -> bool:
    """Say whether a question is one sentence that asks for yes or no; "is it left or right?" is not."""
    words = question.strip()
    return bool(_CLOSED.match(words)) and " or " not in words.lower()
