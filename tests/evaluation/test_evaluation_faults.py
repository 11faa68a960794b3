"""Faults of published benches that are not in a scorer but around it, one test each; the numbers are those of the list of twenty-two.

Faults 1 to 5, 7, 9 to 16, 18, 20 and 21 are in tests/metrics/test_metrics_faults.py; 17 also with a model in test_evaluation_hf.py.
"""

from __future__ import annotations

import json
import random
import sys

import nibabel
import numpy as np
import pytest
from evaluation_items import closed_item, closed_task, grey_picture

from radfoundry import cli, llm
from radfoundry.cli import _app
from radfoundry.evaluation.predictors.majority import Majority
from radfoundry.evaluation.predictors.showing import shown
from radfoundry.evaluation.predictors.text_only import TextOnly
from radfoundry.evaluation.runlog import RunLog
from radfoundry.evaluation.running import run_task
from radfoundry.evaluation.scoring import score_run
from radfoundry.evaluation.tasks import Task
from radfoundry.studies import read_image
from radfoundry.studies.sources import ImageSource


def test_fault_06_a_second_run_adds_nothing_and_the_order_is_fixed(tmp_path) -> None:
    """M3D's segmentation CSV is opened for append and shuffled. Also M3D section 6 k."""
    task = closed_task(9)
    majority = Majority.of(task.items)
    first = run_task(task, majority, tmp_path, controls=())
    lines = (tmp_path / "answers.jsonl").read_text()
    mixed = Task(task.name, task.version, random.Random(1).sample(task.items, 9))
    second = run_task(mixed, majority, tmp_path, controls=())
    assert (tmp_path / "answers.jsonl").read_text() == lines
    assert [s.score for s in second.scores] == [s.score for s in first.scores]
    assert [r.sample_id for r in RunLog(tmp_path).records()] == [f"q{k:03d}" for k in range(9)]


@pytest.mark.parametrize(
    ("words", "wanted"), [(["--json=false"], False), (["--no-json"], False), (["--json"], True), ([], False)]
)
def test_fault_08_a_flag_that_is_false_is_false(words, wanted) -> None:
    """`type=bool` takes any text for True. Also M3D section 6 i and M3D-T43: a model's path is accepted."""
    _, bound, _ = _app().parse_args(
        ["bench", "corpus", "--model", "some/folder", *words], print_error=False, exit_on_error=False
    )
    assert bound.arguments.get("json", False) is wanted
    assert bound.arguments["model"] == "some/folder"


def test_fault_17_what_a_model_sees_of_a_picture_is_the_same_in_any_company() -> None:
    """RadFM's collator: 256 alone, 512 together, depth by the deepest neighbour."""
    first, deep = grey_picture("img_a", (8, 30, 30), "CT"), grey_picture("img_b", (60, 30, 30), "CT")
    alone = np.asarray(shown(first))
    assert [np.array_equal(np.asarray(shown(p)), alone) for p in (deep, first)] == [False, True]


def test_fault_19_a_run_says_what_its_model_has_learned_from(
    tmp_path, monkeypatch, capsys, shared_data, chat_server
) -> None:
    """LLaVA-Med: 84 in the paper, 53 and 35 to 64 elsewhere: tuned weights against general ones under one name."""
    item = closed_item(1, pictures=(grey_picture(),))
    run_task(Task("toy", "1", [item]), Majority.of([item]), tmp_path / "a", controls=(), trained_on="VQA-RAD train")
    assert RunLog(tmp_path / "a").about["trained_on"] == "VQA-RAD train"
    words = ["bench", "medmnist", str(shared_data / "medmnist"), "--limit", "3", "--out", str(tmp_path / "b"), "--json"]
    monkeypatch.setattr(sys, "argv", ["radfoundry", *words, "--model", f"openai:{chat_server('well').url}#m"])
    cli.main()
    notes = json.loads(capsys.readouterr().out.splitlines()[0])["notes"]
    assert any("it is not stated what the model has learned from" in note for note in notes)


def test_fault_22_a_slope_and_intercept_are_applied_once(tmp_path) -> None:
    """CT-CLIP rescales CT-RATE v2 twice. Air is -1000 HU to whoever looks, however often the file is written and read. Also RG-T31."""
    stored = np.full((6, 12, 12), 24, np.int16)  # -1000 HU at slope 1, intercept -1024
    stored[2:4, 3:9, 3:9] = 1074  # 50 HU
    image = nibabel.Nifti1Image(stored.T, np.diag([1.0, 1.0, 3.0, 1.0]))
    image.header.set_slope_inter(1, -1024)
    image.to_filename(tmp_path / "ct.nii.gz")
    read = read_image(ImageSource(tmp_path / "ct.nii.gz", "nifti", modality="CT"))
    assert (read.unit, sorted(np.unique(read.pixels))) == ("HU", [-1000, 50])
    again = nibabel.Nifti1Image(read.pixels.T, np.diag([1.0, 1.0, 3.0, 1.0]))
    again.to_filename(tmp_path / "again.nii.gz")
    twice = read_image(ImageSource(tmp_path / "again.nii.gz", "nifti", modality="CT"))
    assert sorted(np.unique(twice.pixels)) == [-1000, 50]


def test_medtrinity_6_scores_do_not_depend_on_the_order_of_the_log(tmp_path) -> None:
    """Published: closed scores are printed or not by what the last item of the file has, and repeated ids pair wrongly."""
    task = closed_task(12)
    run_task(task, TextOnly.of(task.items), tmp_path, controls=(), baselines={"majority": Majority.of(task.items)})
    records = RunLog(tmp_path).records()
    assert score_run(random.Random(0).sample(records, len(records))) == score_run(records)


def test_medtrinity_6_endpoints_are_asked_greedily() -> None:
    """Published: temperature 0.1 in the script, 0.3 in the log's name, no seed. Also XRG-T37."""
    assert llm.Endpoint("http://x", "m").settings["temperature"] == 0


def test_xrg_t39_and_t41_each_question_once_under_its_own_id(tmp_path) -> None:
    """Published: evaluation runs over a shuffled, endless training loader, and the id is the position."""
    task = closed_task(7)
    run_task(task, Majority.of(task.items), tmp_path, controls=())
    ids = [r.sample_id for r in RunLog(tmp_path).records()]
    assert sorted(ids) == sorted({i.question.sample_id for i in task.items})


def test_two_questions_of_one_id_are_refused(tmp_path) -> None:
    from radfoundry.errors import UsageError

    twice = Task("toy", "1", [closed_item(1), closed_item(1)])
    with pytest.raises(UsageError, match="asks 'q001' twice"):
        run_task(twice, Majority.of(twice.items), tmp_path, controls=())
