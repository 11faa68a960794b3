"""Questions about phantoms have answers that follow from the truth."""

from __future__ import annotations

import numpy as np

from radfoundry.phantom import Phantom, questions_about
from radfoundry.phantom.baselines import TABLE, measure_baselines
from radfoundry.phantom.questions import _wordings
from radfoundry.phantom.truth import CONCEPTS
from radfoundry.records import ANSWER_KINDS, TASKS


def test_tasks_and_answer_kinds_are_those_of_the_records(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        for question in questions_about(phantom):
            assert question.task in TASKS
            assert question.answer_kind in ANSWER_KINDS
            assert question.answer in question.choices or not question.choices


def test_presence_answers_agree_with_the_truth(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        there = {f.concept for f in phantom.truth if f.presence == "present"}
        asked = [q for q in questions_about(phantom) if q.task == "presence"]
        for question in asked:
            (concept,) = [c for c in CONCEPTS if c in question.text]
            assert (question.answer == "yes") == (concept in there)
        if there:
            assert [q.answer for q in asked].count("yes") == len(there)
            assert [q.answer for q in asked].count("no") >= len(there) - 1


def test_masks_of_answers_are_not_empty(train: tuple[Phantom, ...]) -> None:
    for phantom in train:
        for question in questions_about(phantom):
            assert (question.answer_kind in ("mask", "box") or question.task == "reg") == bool(question.label_values)
            if question.label_values:
                assert np.isin(phantom.labels, question.label_values).any()


def test_the_same_study_is_asked_the_same_questions(train: tuple[Phantom, ...]) -> None:
    assert questions_about(train[3]) == questions_about(train[3])


def test_test_wordings_of_questions_are_held_out() -> None:
    grouped = _wordings()
    known = {text for (_, _, split), texts in grouped.items() if split == "train" for text in texts}
    for (task, about, split), texts in grouped.items():
        if split == "test":
            assert not known & set(texts)
            assert grouped[task, about, "train"]


def test_trivial_baselines_are_measured_and_published() -> None:
    rows = measure_baselines(6, 4)
    assert {row[0] for row in rows} >= {"majority", "mean box", "atlas mask"}
    assert all(0 <= row[4] <= 1 for row in rows)
    published = TABLE.read_text(encoding="utf-8")
    assert all(concept in published for concept in CONCEPTS)
    assert published.startswith("baseline\ttarget\tmetric\tn\tvalue\n")
