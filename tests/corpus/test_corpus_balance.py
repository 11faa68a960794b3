"""Closed questions are read as often with yes as with no, whoever built them in whatever order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry.arrow import to_table
from radfoundry.corpus import balance_rule, read_rule
from radfoundry.corpus.balance import balanced
from radfoundry.errors import UsageError
from radfoundry.ids import make_id
from radfoundry.records import MadeBy, Part, Sample, Turn

ROW = st.tuples(st.sampled_from(["nodule", "effusion anywhere", "x = y (z)"]), st.sampled_from(["yes", "no"]),
                st.sampled_from(["train", "test"]), st.booleans())  # fmt: skip


def sample(number: int, about: str, answer: str, split: str, marked: bool) -> Sample:
    by = balance_rule(about, answer) if marked else "templates"
    turns = (Turn("user", (Part("text", "Is it there?"),)), Turn("assistant", (Part("text", answer),)))
    return Sample(
        make_id("sample", number),
        "sty",
        (),
        "presence",
        turns,
        "closed",
        ("yes", "no"),
        (),
        (),
        (),
        split,
        "",
        MadeBy("a", "1", by=by),
    )


@settings(max_examples=60)
@given(st.lists(ROW, max_size=40))
def test_yes_and_no_are_equally_many_in_each_group_and_split(rows) -> None:
    made = [sample(n, *row) for n, row in enumerate(rows)]
    table = balanced(to_table("samples", made))
    kept = set(table["sample_id"].to_pylist())
    count, whole = Counter(), Counter()
    for one, (about, answer, split, marked) in zip(made, rows, strict=True):
        whole[about, split, answer] += marked
        count[about, split, answer] += marked and one.sample_id in kept
        assert marked or one.sample_id in kept
    for about, split, answer in whole:
        other = "no" if answer == "yes" else "yes"
        assert count[about, split, answer] == min(whole[about, split, answer], whole[about, split, other])


@settings(max_examples=30)
@given(st.lists(ROW, max_size=30), st.randoms())
def test_the_order_of_building_changes_nothing(rows, random) -> None:
    made = [sample(n, *row) for n, row in enumerate(rows)]
    shuffled = random.sample(made, len(made))
    assert balanced(to_table("samples", made)) == balanced(to_table("samples", shuffled))


def test_a_split_read_alone_holds_the_same_rows() -> None:
    rows = [("nodule", "yes" if n % 3 else "no", "train" if n % 2 else "test", True) for n in range(40)]
    table = to_table("samples", [sample(n, *row) for n, row in enumerate(rows)])
    import pyarrow.compute as pc

    whole = balanced(table).filter(pc.field("split") == "train")
    assert whole == balanced(table.filter(pc.field("split") == "train"))
    assert 0 < whole.num_rows < 20


def test_a_rule_is_read_as_it_was_written() -> None:
    assert read_rule(balance_rule("presence of nodule in the lung", "yes", "silent")) == (
        "presence of nodule in the lung",
        "yes",
        "silent",
    )
    assert read_rule("templates") is None
    with pytest.raises(UsageError, match="yes or no"):
        balance_rule("nodule", "perhaps")


def test_what_a_corpus_gives_is_balanced_and_its_table_whole(phantom_corpora) -> None:
    corpus = phantom_corpora["grounded-report"]
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in corpus.samples():
        rule = read_rule(one.made_by.by)
        if rule:
            assert one.turns[-1].text.lower() == rule[1]
            counts[rule[0], one.split, rule[1]] += 1
    assert counts
    assert all(counts[about, split, "yes"] == counts[about, split, "no"] for about, split, _ in counts)
    assert corpus.table("samples").num_rows > len(corpus.samples())
    ids = [s.sample_id for s in corpus.samples(task="presence", split="train")]
    assert ids == [s.sample_id for s in corpus.samples() if (s.task, s.split) == ("presence", "train")]
