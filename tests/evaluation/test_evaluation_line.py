"""A run: asked, logged, scored, resumed, compared; perfect answers earn everything, controls earn what they should."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from phantom_corpus import KINDS
from radfoundry.errors import UsageError
from radfoundry.evaluation.benching import Wanted, run_bench
from radfoundry.evaluation.comparing import compare_runs
from radfoundry.evaluation.page import write_page
from radfoundry.evaluation.predictors import open_predictor
from radfoundry.evaluation.predictors.majority import Majority
from radfoundry.evaluation.runlog import RunLog
from radfoundry.evaluation.running import as_json, run_task
from radfoundry.evaluation.scoring import score_run
from radfoundry.evaluation.tasks import corpus_task
from radfoundry.geometry import Box
from radfoundry.protocols import Answer
from radfoundry.records import MadeBy


class Oracle:
    """Knows the reference of every question; `shift` moves its boxes and masks along x."""

    name, made_by = "oracle", MadeBy("oracle", "1")

    def __init__(self, items, shift: int = 0, silent: frozenset[str] = frozenset()) -> None:
        self.items = {i.question.sample_id: i for i in items}
        self.shift, self.silent, self.calls = shift, silent, 0

    def answer(self, questions):
        self.calls += len(questions)
        return [self._answer(q) for q in questions]

    def _answer(self, question):
        reference = self.items[question.sample_id].reference
        if question.sample_id in self.silent:
            return Answer("", error="silent")
        boxes = tuple(Box.from_flat(np.asarray(b) + self._move(len(b))) for b in reference.boxes)
        mask = np.roll(reference.mask(), self.shift, axis=-1) if reference.mask else None
        return Answer(reference.text, boxes=boxes, mask=mask)

    def _move(self, numbers: int):
        move = np.zeros(numbers, int)
        move[[numbers // 2 - 1, numbers - 1]] = self.shift
        return move


@pytest.fixture(scope="module")
def task(phantom_corpora):
    """Of every task of the m3d corpus the first four questions."""
    whole = corpus_task(phantom_corpora["m3d"], "test")
    places = defaultdict(list)
    for item in whole.items:
        places[item.question.task, item.question.answer_kind].append(item)
    return replace(whole, items=[item for items in places.values() for item in items[:4]])


@pytest.mark.parametrize("kind", KINDS)
def test_perfect_answers_score_one_on_every_task(kind, phantom_corpora, tmp_path) -> None:
    """Distances are then 0; METEOR and CIDEr-D give a perfect answer what their formulas give it."""
    task = corpus_task(phantom_corpora[kind], "test")
    if not task.items:
        pytest.skip(f"these phantoms give no {kind} question in the test split")
    result = run_task(task, Oracle(task.items), tmp_path, controls=(), examples=0)
    for score in (s for s in result.scores if s.scorer == "native"):
        name = score.name.rpartition("/")[2]
        if name in ("meteor", "cider"):
            assert 0.5 <= (score.score.value or 1) <= 10
        elif score.score.value is None:
            assert "undefined" in score.score.note, score.name
        else:
            assert score.score.value == pytest.approx(1.0 if score.better == "higher" else 0.0), score.name
    named = {
        s.name.rpartition("/")[0].removesuffix("-closed").removesuffix("-choice") for s in result.scores if s.primary
    }
    assert named >= {i.question.task for i in task.items}


def test_shifted_boxes_and_masks_score_what_the_shift_costs(task, tmp_path) -> None:
    items = [i for i in task.items if i.reference.boxes][:1]
    result = run_task(replace(task, items=items), Oracle(items, shift=2), tmp_path, controls=())
    width = (lambda b: b[len(b) - 1] - b[len(b) // 2 - 1])(items[0].reference.boxes[0])
    expected = max(0, width - 2) / (width + 2)
    assert result.scores[0].score.value == pytest.approx(expected)


def test_a_question_without_an_answer_is_wrong_and_counted(task, tmp_path) -> None:
    items = [i for i in task.items if i.question.task == "reg"]
    silent = frozenset({items[0].question.sample_id})
    result = run_task(replace(task, items=items), Oracle(items, silent=silent), tmp_path, controls=())
    assert result.scores[0].score.value == pytest.approx(1 - 1 / len(items))
    assert "missing" in result.scores[0].score.note


def test_a_run_that_stopped_asks_only_what_is_missing(task, tmp_path) -> None:
    oracle = Oracle(task.items)
    run_task(task, oracle, tmp_path, controls=())
    log = tmp_path / "answers.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:5]) + lines[5][:20])  # killed in the middle of a line
    again = Oracle(task.items)
    result = run_task(task, again, tmp_path, controls=())
    assert again.calls == len(task.items) - 5
    assert all(s.score.value == 1.0 for s in result.scores if s.primary)
    assert len(list(RunLog(tmp_path).records())) == len(task.items)


def test_another_run_in_the_same_folder_is_refused(task, tmp_path) -> None:
    run_task(task, Oracle(task.items), tmp_path, controls=())
    with pytest.raises(UsageError, match="another run"):
        run_task(replace(task, version="0"), Oracle(task.items), tmp_path, controls=())


def test_scores_come_from_the_log_alone(task, tmp_path) -> None:
    result = run_task(task, Oracle(task.items), tmp_path, controls=())
    again = score_run(RunLog(tmp_path).records(), compat="m3d")
    assert [(s.name, s.score) for s in again] == [(s.name, s.score) for s in result.scores]
    line = as_json(result, task.name, "oracle")
    assert json.loads(json.dumps(line))["scores"]["rec/iou"]["value"] == 1.0


def test_the_majority_never_looks(phantom_corpora, task, tmp_path) -> None:
    training = corpus_task(phantom_corpora["m3d"], "train").items
    majority = Majority.of(training)
    blank = [
        replace(i.question, pictures=tuple(replace(p, load=None) for p in i.question.pictures)) for i in task.items
    ]
    answers = majority.answer(blank)
    assert all(a.text for a in answers)
    result = run_task(task, majority, tmp_path, controls=(), baselines={})
    by_name = {s.name: s.score.value for s in result.scores}
    assert 0 < by_name["rec/iou"] < 1
    assert 0 < by_name["segment/dice"] < 1


def test_controls_stand_beside_the_score(phantom_corpora, task, tmp_path) -> None:
    baselines = {"majority": Majority.of(corpus_task(phantom_corpora["m3d"], "train").items)}
    result = run_task(task, Oracle(task.items), tmp_path, baselines=baselines)
    names = {"rec/iou": "mean-box", "segment/dice": "atlas-mask", "organ/exact_match": "majority"}
    for score in (s for s in result.scores if s.name in names):
        assert set(score.blind) == {"image-removed", "image-shuffled", names[score.name]}
        # the oracle does not look, so that a control cannot take anything from it
        assert score.blind["image-removed"].value == score.score.value


def test_two_runs_are_compared_on_what_both_answered(task, tmp_path) -> None:
    items = [i for i in task.items if i.question.task == "rec" and i.reference.boxes]
    task = replace(task, items=items)
    run_task(task, Oracle(items), tmp_path / "a", controls=())
    run_task(task, Oracle(items, shift=3), tmp_path / "b", controls=())
    found = compare_runs(RunLog(tmp_path / "a").records(), RunLog(tmp_path / "b").records())
    assert found["rec/iou"].value > 0
    assert found["rec/iou"].n == len(items)


def test_answers_from_a_file_are_scored_strictly(task, tmp_path) -> None:
    items = [i for i in task.items if i.question.answer_kind == "closed"]
    truth = items[0].reference.text
    rows = [{"sample_id": items[0].question.sample_id, "answer": f"{truth}, clearly."}]
    rows += [{"sample_id": i.question.sample_id, "answer": "normal heart"} for i in items[1:]]
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    result = run_task(replace(task, items=items), open_predictor(f"answers:{path}"), tmp_path / "run", controls=())
    accuracy = next(s for s in result.scores if s.name.endswith("/accuracy"))
    assert accuracy.score.value == pytest.approx(1 / len(items))


@pytest.mark.parametrize(("what", "words"), [("answers:nothing.csv", "cannot read"), ("no-such-model", "no model")])
def test_a_predictor_that_is_none_is_refused_with_its_name(what, words) -> None:
    with pytest.raises(UsageError, match=words):
        open_predictor(what).answer([replace_question()])


def replace_question():
    from radfoundry.protocols import Question

    return Question("s", "t", (), (), "open")


def test_a_bench_says_whether_its_model_has_learned_from_these_pictures(phantom_corpora, tmp_path) -> None:
    """Patients and pictures of the corpus that a model was trained on, against those that it is asked about."""
    folder = str(phantom_corpora["m3d"].path)
    asked = {
        split: Wanted(folder, None, "majority", split, ("modality",), 3, tmp_path / split, trained_on=folder)
        for split in ("train", "test")
    }
    unseen, seen = (run_bench(asked[split]) for split in ("test", "train"))
    assert any("shares no picture with these questions" in note for note in unseen.warnings)
    assert any("test pictures and" in note and "are in training too" in note for note in seen.warnings)
    assert unseen.page.read_text().count("shares no picture") == 1
    assert set(unseen.last_line()) == {"suite", "model", "n", "scores"}


def test_answers_on_pictures_are_drawn_and_the_page_is_made_from_the_log_alone(task, tmp_path) -> None:
    items = [i for i in task.items if i.reference.boxes or i.reference.mask][:4]
    run_task(replace(task, items=items), Oracle(items, shift=2), tmp_path, controls=())
    drawn = [r.picture for r in RunLog(tmp_path).records() if r.picture]
    assert drawn
    page = write_page(tmp_path, ["a note with <b>markup</b> in it"])
    text = page.read_text()
    assert text.count("data:image/png") == len(drawn)
    assert "a note with &lt;b&gt;markup" in text
    again = write_page(tmp_path)
    assert again.read_text() == text
