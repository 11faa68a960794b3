"""Predictors behind WHAT: an endpoint that behaves and misbehaves, pictures and volumes as they are shown, text as answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_items import closed_item, closed_task, grey_picture

from radfoundry import llm
from radfoundry.errors import UsageError
from radfoundry.evaluation.predictors import open_predictor
from radfoundry.evaluation.predictors.endpoint import EndpointModel
from radfoundry.evaluation.predictors.showing import montage, read_answer, shown, words_of
from radfoundry.evaluation.predictors.text_only import TextOnly
from radfoundry.evaluation.runlog import RunLog
from radfoundry.evaluation.running import run_task
from radfoundry.evaluation.tasks import Reference
from radfoundry.protocols import Question
from radfoundry.records import Part, Turn


def model(server, **settings) -> EndpointModel:
    return EndpointModel(llm.Endpoint(server.url, "toy", **({"tries": 1, "seconds": 20, "wait": 0.01} | settings)))


def test_an_endpoint_is_asked_and_its_tokens_stand_in_the_log(chat_server, tmp_path) -> None:
    server = chat_server("well")
    result = run_task(closed_task(10), model(server), tmp_path, controls=())
    by_name = {s.name: s.score.value for s in result.scores}
    assert by_name["presence/accuracy"] == 0.5  # it always says yes
    assert result.tokens == (100, 20)
    record = RunLog(tmp_path).records()[0]
    assert record.sent.endswith("Answer with yes or no.")
    assert record.sent.removeprefix("user: ") in {r["asked"] for r in server.requests}
    assert (record.parsed, record.error) == ("yes", "")
    assert record.question_hash


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("not-json", "garbage"), ("500", "status 500"), ("never", "too slow"), ("giant", "too large"), ("garbage", "")],
)
def test_a_misbehaving_endpoint_is_counted_reported_and_bounded(chat_server, tmp_path, behaviour, reason) -> None:
    server = chat_server(behaviour)
    began = time.perf_counter()
    quick = model(server, seconds=0.4 if behaviour == "never" else 20, most_bytes=50_000)
    result = run_task(closed_task(4), quick, tmp_path, controls=())
    assert time.perf_counter() - began < 20
    accuracy = next(s for s in result.scores if s.name == "presence/accuracy")
    assert accuracy.score.value == 0.0
    assert accuracy.score.n == 4
    if reason:
        assert result.errors == {reason: 4}
        assert "4 missing" in accuracy.score.note
    else:
        assert result.errors == {}
        assert "4 unparsable" in accuracy.score.note


def test_failures_are_asked_again_only_when_wanted(chat_server, tmp_path) -> None:
    run_task(closed_task(4), model(chat_server("500")), tmp_path, controls=())
    server = chat_server("well")
    run_task(closed_task(4), model(server), tmp_path, controls=())
    assert server.requests == []
    result = run_task(closed_task(4), model(server), tmp_path, controls=(), retry_errors=True)
    assert len(server.requests) == 4
    assert result.errors == {}
    assert result.answers == len(RunLog(tmp_path).records()) == 4


PROGRAM = """
import sys
from pathlib import Path
from evaluation_items import closed_task
from radfoundry import llm
from radfoundry.evaluation.predictors.endpoint import EndpointModel
from radfoundry.evaluation.running import run_task
endpoint = llm.Endpoint(sys.argv[1], "toy", together=1, tries=1, seconds=300)
run_task(closed_task(12), EndpointModel(endpoint), Path(sys.argv[2]), controls=())
"""


def test_a_killed_run_goes_on_without_asking_anything_twice_that_was_answered(chat_server, tmp_path) -> None:
    """The seventh request is never answered; then the process is killed, by the signal that cannot be caught."""
    blocked = chat_server("block-at-7")
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    words = [sys.executable, "-c", PROGRAM, blocked.url, str(tmp_path / "run")]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": paths})
    log = tmp_path / "run" / "answers.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not log.exists() or log.read_text().count("\n") < 6):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(RunLog(tmp_path / "run").records()) == 6
    server = chat_server("well")
    result = run_task(closed_task(12), model(server), tmp_path / "run", controls=())
    asked = Counter(r["asked"] for r in (*blocked.requests[:6], *server.requests))
    assert len(asked) == 12
    assert set(asked.values()) == {1}
    assert result.answers == 12


def test_pictures_go_out_once_each_and_masks_are_not_asked_for(chat_server) -> None:
    server = chat_server("well")
    item = closed_item(1, pictures=(grey_picture(),))
    mask = replace(item.question, answer_kind="mask", sample_id="m")
    answers = model(server).answer([item.question, mask])
    assert answers[0].text == "yes"
    assert answers[1].error.startswith("no mask: ")
    assert [r["asked"] for r in server.requests] == ["<picture> Is thing 1 there? Answer with yes or no."]


def test_a_volume_is_shown_from_head_to_feet_with_true_proportions() -> None:
    volume = np.zeros((32, 20, 10), np.uint8)
    volume[-2:] = 255  # the head
    volume[:, :, 0] = 100  # the patient's right
    tiles = montage(volume, (5.0, 1.0, 2.0))
    assert tiles.shape == (4 * 20, 4 * 20)  # 16 tiles of 20 x 20 mm, four in a row
    assert tiles[10, 10] == 255
    assert tiles[70, 70] == 0
    assert tiles[70, 0] == 100


def test_a_short_volume_has_as_many_tiles_as_slices() -> None:
    assert montage(np.zeros((3, 8, 8), np.uint8), (1.0, 1.0, 1.0)).shape == (8, 24)
    assert montage(np.zeros((5, 8, 8), np.uint8), (1.0, 1.0, 1.0)).shape == (16, 32)
    assert shown(grey_picture(shape=(6, 40, 30), modality="CT")).mode == "RGB"


def test_what_is_shown_of_a_picture_does_not_depend_on_what_is_shown_beside_it() -> None:
    """Fault 17: RadFM's collator sizes an image by its batch; train and test see different preprocessing."""
    small, large = grey_picture("img_a", (40, 30)), grey_picture("img_b", (400, 300))
    alone = np.asarray(shown(small))
    shown(large)
    assert np.array_equal(np.asarray(shown(small)), alone)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("[0.0, 0.5, 0.25, 0.5, 1.0, 0.75]", (0, 20, 5, 5, 40, 15)),
        ("the box is (0,0.5,.25,0.5,1,0.75).", (0, 20, 5, 5, 40, 15)),
        ("[0.5, 0.5, 0.5, 0.1, 1.0, 1.0]", None),
        ("[1, 2, 3]", None),
        ("upper left", None),
        ("[0, 0, 0, 9, 9, 9]", (0, 0, 0, 10, 40, 20)),
    ],
)
def test_boxes_are_read_out_of_text_strictly(text, box) -> None:
    picture = grey_picture(shape=(10, 40, 20), modality="CT")
    question = Question("q", "s", (Turn("user", (Part("text", "Where?"),)),), (picture,), "box")
    answer = read_answer(question, text, 0.1, "")
    assert [b.flat for b in answer.boxes] == ([box] if box else [])


def test_a_given_region_is_told_as_its_box() -> None:
    picture = grey_picture(shape=(10, 40, 20), modality="CT")
    mask = np.zeros((10, 40, 20), bool)
    mask[5:, 10:20, 0:5] = True
    turn = Turn("user", (Part("image", ref="img_a"), Part("region", ref="reg_x"), Part("text", "What is this?")))
    question = Question("q", "s", (turn,), (picture,), "open", regions={"reg_x": mask})
    words = [part.text for part in words_of(question)[0]]
    assert words[1] == "The region that is meant lies in the box [0.500, 0.250, 0.000, 1.000, 0.500, 0.250]."
    assert "from head to feet" in words[-1]


def test_text_alone_learns_what_the_wording_gives_away() -> None:
    training = [closed_item(k, "yes") for k in range(6)]
    training += [
        replace(
            i,
            question=replace(i.question, turns=(Turn("user", (Part("text", "Is it normal?"),)),)),
            reference=Reference("no"),
        )
        for i in training
    ]
    learned = TextOnly.of(training)
    answers = learned.answer([closed_item(99).question, training[-1].question])
    assert [a.text for a in answers] == ["yes", "no"]
    assert all(0.5 < (a.confidence or 0) <= 1 for a in answers)
    nothing = TextOnly.of([]).answer([training[0].question])
    assert nothing[0].error.startswith("nothing learned")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("answers:nothing.csv", "cannot read"),
        ("no-such-model", "no model"),
        ("openai:http://127.0.0.1", "names no endpoint"),
        ("openai:#m", "names no endpoint"),
        ("openai:file:///etc#m", "is no address"),
    ],
)
def test_a_predictor_that_is_none_is_refused_with_its_name(what, words) -> None:
    with pytest.raises(UsageError, match=words):
        open_predictor(what).answer([closed_item(1).question])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"answer": "yes"}', "no sample_id"),
        ("not json", "no file of answers"),
        ('{"sample_id": "a", "answer": "yes"}\n{"sample_id": "a", "answer": "no"}', "answers a twice"),
    ],
)
def test_a_file_that_is_no_file_of_answers_is_refused(tmp_path, content, words) -> None:
    """MedTrinity section 6: repeated ids paired wrongly."""
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=words):
        open_predictor(f"answers:{path}").answer([closed_item(1).question])


def test_answers_that_are_numbers_or_impossible_boxes_are_taken_as_they_are(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"qid": "q001", "answer": 0},
        {"qid": "q002", "answer": "", "box": [5, 5, 1, 1]},
        {"qid": "q003", "box": "[1, 2"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    first, second, third = open_predictor(f"answers:{path}").answer([closed_item(k).question for k in (1, 2, 3)])
    assert first.text == "0"
    assert second.error.startswith("impossible box")
    assert third.error.startswith("impossible box")
