"""Sentences of our own in the words of many writers: what they state and which regions they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from radfoundry.grounding.linker import RuleLinker
from radfoundry.language import find_findings

ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("varied_sentences.tsv").read_text(encoding="utf-8").splitlines()[3:]
]
MARKS = {"present": "", "absent": "-", "uncertain": "?"}
LINKER = RuleLinker("clean")


@pytest.mark.parametrize(("sentence", "findings", "regions"), ROWS, ids=[row[0][:60] for row in ROWS])
def test_a_sentence_says_what_it_says(sentence: str, findings: str, regions: str) -> None:
    stated = {
        MARKS[made.presence] + made.concept + (f"@{made.side}" if made.side != "none" else "")
        for made in find_findings(sentence)
    }
    assert stated == set(filter(None, findings.split(";")))
    assert {mention.name for mention in LINKER.link([sentence])[0]} == set(filter(None, regions.split(";")))


def test_there_are_enough_of_them() -> None:
    assert len(ROWS) >= 150
