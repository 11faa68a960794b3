"""A report taken apart: sections, and sentences that know their section and place."""

from __future__ import annotations

from dataclasses import dataclass

from radfoundry.language.sections import find_sections
from radfoundry.language.sentences import split_sentences

__all__ = ["ParsedReport", "Sentence", "parse_report"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence; `text == report[start:end]`, `index` counts within the report."""

    section: str
    index: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """A report's sections (name -> half-open characters, first of a name) and sentences in reading order."""

    text: str
    sections: dict[str, tuple[int, int]]
    sentences: tuple[Sentence, ...]

    def of(self, *sections: str) -> tuple[Sentence, ...]:
        """The sentences of the named sections."""
        return tuple(sentence for sentence in self.sentences if sentence.section in sections)


def parse_report(text: str) -> ParsedReport:
    """Split a report into sections and sentences; any text is accepted, the empty one has neither."""
    sections = find_sections(text)
    spans = [(part.name, span) for part in sections for span in split_sentences(text, part.start, part.end)]
    sentences = (Sentence(name, i, start, end, text[start:end]) for i, (name, (start, end)) in enumerate(spans))
    first = {part.name: (part.start, part.end) for part in reversed(sections)}
    return ParsedReport(text, dict(sorted(first.items(), key=lambda item: item[1])), tuple(sentences))
