"""The lint of `wording.tsv`: what a clinician may edit without breaking a corpus."""

from __future__ import annotations

from collections import defaultdict
from string import Template

import pytest

from radfoundry.builders.wording import choose, wordings
from radfoundry.records import TASKS

# what a wording may have put in; the rest of a line is said as it stands
PLACES = {
    "concept",
    "concepts",
    "region",
    "size",
    "bound",
    "answer",
    "text",
    "side",
    "modality",
    "definition",
    "duty",
    "pair",
}
# what gives an answer away if the question has it, too
TELLING = {"answer", "size", "text", "concepts", "modality"}
GROUPED = defaultdict(list)
for one in wordings():
    GROUPED[one.task, one.form].append(one)


@pytest.mark.parametrize("key", sorted(GROUPED), ids="/".join)
def test_each_form_has_wordings_for_training_and_others_for_the_test(key) -> None:
    mine = GROUPED[key]
    assert key[0] in TASKS
    assert sum(w.held_out for w in mine) == 1
    assert sum(not w.held_out for w in mine) >= 2
    assert len({w.question for w in mine}) == len(mine)
    assert len({w.answer for w in mine}) == 1


@pytest.mark.parametrize("one", wordings(), ids=lambda w: f"{w.task}/{w.form}/{w.question[:24]}")
def test_each_wording_is_whole(one) -> None:
    question, answer = Template(one.question), Template(one.answer)
    assert question.is_valid()
    assert answer.is_valid()
    asked, told = set(question.get_identifiers()), set(answer.get_identifiers())
    assert asked | told <= PLACES
    assert not asked & TELLING
    assert one.question == one.question.strip()
    assert one.question[-1] in "?."
    assert one.answer == one.answer.strip() != ""
    assert "  " not in one.question


def test_the_right_answer_is_nowhere_in_the_question() -> None:
    """A word that is put into both question and answer tells nothing: the rest of the answer must be the same for all."""
    for one in wordings():
        shared = set(Template(one.question).get_identifiers()) & set(Template(one.answer).get_identifiers())
        if one.task in ("presence", "abnormality", "location", "size", "disorder"):
            assert not shared, one


def test_a_yes_and_a_no_are_asked_in_the_same_words() -> None:
    for task, form in GROUPED:
        if form.endswith("yes"):
            other = GROUPED[task, form.removesuffix("yes") + "no"]
            assert [w.question for w in GROUPED[task, form]] == [w.question for w in other]


def test_a_value_is_put_in_as_it_is() -> None:
    one = choose("location", "open", "key", "train")
    question, answer = one.ask({"concept": "$region <b>", "region": "${concept}"})
    assert "$region <b>" in question
    assert answer.endswith("${concept}")
    with pytest.raises(KeyError, match="no wording"):
        choose("location", "none of them", "key", "train")
