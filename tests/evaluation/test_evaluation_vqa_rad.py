"""VQA-RAD end to end, as typed: what is there, what is absent, what is shared, and planted answers scored by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from radfoundry import cli
from radfoundry.errors import UsageError
from radfoundry.evaluation.overlap import disjoint_training, overlap_of
from radfoundry.evaluation.suites import Suite, open_suite


@pytest.fixture(scope="module")
def vqa_rad(shared_data: Path) -> Path:
    return shared_data / "vqa_rad"


@pytest.fixture(scope="module")
def suite(vqa_rad: Path) -> Suite:
    return open_suite("vqa-rad", vqa_rad)


def bench(monkeypatch, capsys, *words: object) -> dict:
    monkeypatch.setattr(sys, "argv", ["radfoundry", "bench", "vqa-rad", *map(str, words), "--json"])
    cli.main()
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_all_451_questions_are_read_and_204_pictures_are_said_to_be_absent(suite: Suite) -> None:
    items = suite.task.items
    assert len(items) == 451
    assert sum(i.question.answer_kind == "closed" for i in items) == 272
    assert sum(not i.absent for i in items) == 247
    assert all(i.absent.endswith("is absent") for i in items if not i.question.pictures)
    assert len(suite.training) == 1797
    assert "204 questions are about pictures that are absent" in suite.task.notes[1]
    assert len(suite.task.without_absent().items) == 247


def test_the_files_oddities_are_mended(suite: Suite) -> None:
    """Answers that are numbers, a trailing blank in answer_type, "NULL", types with typing errors."""
    answers = [i.reference.text for i in (*suite.task.items, *suite.training)]
    assert {"4", "2", "12"} <= set(answers)
    assert all(a == a.strip() and "\t" not in a for a in answers)
    assert {i.question.answer_kind for i in suite.training} == {"closed", "open"}
    assert len({i.question.sample_id for i in (*suite.task.items, *suite.training)}) == 2248


def test_test_pictures_are_training_pictures_and_the_free_split_shares_none(suite: Suite) -> None:
    """MT-T28; 202 of 203, as counted by hand."""
    shared = overlap_of(suite.training, suite.task.items)
    assert (shared.images, shared.all_images) == (202, 203)
    assert "202 of 203 test pictures" in str(shared)
    free = disjoint_training(suite.training, suite.task.items)
    assert 0 < len(free) < len(suite.training)
    after = overlap_of(free, suite.task.items)
    assert not after.any
    assert (after.images, after.patients, after.touched) == (0, 0, 0)


@pytest.mark.slow
def test_the_majority_says_no_and_the_text_only_model_beats_it(vqa_rad, tmp_path, monkeypatch, capsys) -> None:
    words = ("--model", "majority", "--out", tmp_path / "m")
    majority = bench(monkeypatch, capsys, vqa_rad, *words)["scores"]
    text = bench(monkeypatch, capsys, vqa_rad, "--model", "text-only", "--out", tmp_path / "t")["scores"]
    free = bench(monkeypatch, capsys, vqa_rad, "--model", "text-only", "--disjoint", "--out", tmp_path / "d")["scores"]
    assert 0.45 < majority["closed/balanced_accuracy"]["value"] < 0.6
    for name in ("closed/accuracy", "open/exact_match"):
        assert text[name]["value"] > majority[name]["value"]
        assert text[name]["value"] > free[name]["value"]  # some of it comes from known pictures
        assert free[name]["blind"] is not None
    assert text["closed/accuracy"]["n"] == 272
    assert text["open/exact_match"]["n"] == 179


def plant(suite: Suite) -> list[dict[str, str]]:
    """Answers to every second question, in turns of eight kinds; the truth of each kind is worked out in the test."""
    rows = []
    for place, item in enumerate(sorted(suite.task.items, key=lambda i: int(i.question.sample_id))):
        true = item.reference.text
        yes_no = true.lower() in ("yes", "no") and item.group == "closed"
        other = "No" if true.lower() == "yes" else "Yes"
        said = {
            0: true,
            1: f"{true.upper()}.",
            2: f"{true}, there is a nodule and the heart is normal."
            if yes_no
            else f"It is {true}, as can be seen here.",
            3: other if yes_no else "something else altogether",
            4: f"{true} or {other}" if yes_no else "",
            5: "normal nodule" if yes_no else f"not {true}",
            6: "",
            7: None,
        }[place % 8]
        if said is not None:
            rows.append({"qid": item.question.sample_id, "answer": said})
    return rows


def test_planted_answers_score_what_was_worked_out_by_hand(suite, vqa_rad, tmp_path, monkeypatch, capsys) -> None:
    """By kind, strictly: 0 and 1 are right; 2 (verbose) is right for yes/no alone; 3 to 7 are wrong."""
    path = tmp_path / "planted.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in plant(suite)))
    ordered = sorted(suite.task.items, key=lambda i: int(i.question.sample_id))
    right = {"closed": 0, "open": 0}
    for place, item in enumerate(ordered):
        yes_no = item.group == "closed" and item.reference.text.lower() in ("yes", "no")
        right[item.group] += place % 8 in (0, 1) or (place % 8 == 2 and yes_no)
    scores = bench(monkeypatch, capsys, vqa_rad, "--model", f"answers:{path}", "--out", tmp_path / "run")["scores"]
    assert scores["closed/accuracy"]["value"] == pytest.approx(right["closed"] / 272)
    assert scores["open/exact_match"]["value"] == pytest.approx(right["open"] / 179)
    assert right == {
        "closed": 108,
        "open": 43,
    }  # counted apart, from the raw file with six lines that share nothing with ours
    # the published scorer takes "no" out of "normal nodule", and drops the missing ones
    assert scores["closed/llava_med_substring"]["value"] > scores["closed/accuracy"]["value"]
    assert scores["closed/llava_med_substring"]["n"] < 272


def test_missing_answers_are_counted_and_shown(suite, vqa_rad, tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "planted.csv"
    first = suite.task.items[0]
    path.write_text(f"sample_id,answer\n{first.question.sample_id},{first.reference.text}\nno-such-question,yes\n")
    monkeypatch.setattr(
        sys,
        "argv",
        ["radfoundry", "bench", "vqa-rad", str(vqa_rad), "--model", f"answers:{path}", "--out", str(tmp_path / "r")],
    )
    cli.main()
    out = capsys.readouterr().out
    assert "450 no answer in the file" in out
    assert "1 answers in the file are to no question of vqa-rad, such as 'no-such-question'" in out
    page = (tmp_path / "r" / "report.html").read_text()
    assert "450 of 451; they count as wrong" in page
    assert "202 of 203 test pictures" in page


@pytest.mark.parametrize(
    ("name", "src", "words"),
    [("vqa-rad", None, "needs the benchmark's folder"), ("pathology", Path("."), "no suite 'pathology'")],
)
def test_a_suite_that_cannot_be_opened_is_refused(name, src, words) -> None:
    with pytest.raises(UsageError, match=words):
        open_suite(name, src)


def test_a_folder_without_the_file_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="no VQA-RAD"):
        open_suite("vqa-rad", tmp_path)


def test_two_pictures_of_one_name_are_refused(vqa_rad, tmp_path) -> None:
    """MT-T26: a join by base name must not let the last one win."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "VQA_RAD_Dataset_Public.json").write_text("[]")
    for folder in "ab":
        (tmp_path / folder / "same.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"two pictures are called same\.jpg"):
        open_suite("vqa-rad", tmp_path)
