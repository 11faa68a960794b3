"""Answers whole and streamed, about images and regions, in OpenAI's form."""

from __future__ import annotations

import json

import numpy as np
import pytest
from serving_helpers import ask, data_url, png_bytes, shown

from radfoundry.geometry import Box
from radfoundry.model import Answer
from radfoundry.serving.closed import is_closed
from radfoundry.serving.conversation import Conversation
from radfoundry.serving.desk import Answered
from radfoundry.serving.pointing import Pointing

CHAT = "/v1/chat/completions"


def stream(client, content, **more) -> list[dict]:
    body = {"model": "nano", "stream": True, "max_tokens": 8, "messages": [{"role": "user", "content": content}]} | more
    answer = client.post(CHAT, json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def test_an_answer_has_openais_form_and_says_what_it_was_about(client, example) -> None:
    answer = ask(client, shown(example, "What is abnormal in the left lung?"))
    (choice,) = answer["choices"]
    assert answer["object"] == "chat.completion"
    assert answer["notice"] == choice["message"]["radfoundry"]["notice"] == "Research use only"
    assert choice["message"]["radfoundry"]["about"] == {"images": [example["images"][0]["image_id"]], "region": None}
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    assert choice["finish_reason"] in ("stop", "length")


def test_the_pieces_of_a_stream_join_to_the_whole_answer(client, example) -> None:
    whole = ask(client, shown(example, "Describe the study."))["choices"][0]["message"]
    chunks = stream(client, shown(example, "Describe the study."), stream_options={"include_usage": True})
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == whole["content"]
    assert deltas[-1]["radfoundry"]["marks"] == whole["radfoundry"]["marks"]
    assert chunks[-2]["choices"][0]["finish_reason"]
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_a_closed_question_is_answered_by_yes_or_no_with_a_chance(client, example) -> None:
    message = ask(client, shown(example, "Is there a nodule in the left lung?"))["choices"][0]["message"]
    assert message["content"] in ("Yes", "No")
    assert 0.5 <= message["radfoundry"]["confidence"] <= 1
    chunks = stream(client, shown(example, "Is there a nodule in the left lung?"))
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == message["content"]


@pytest.mark.parametrize(
    ("question", "closed"),
    [("Is there a nodule?", True), ("Does the liver look normal?", True), ("Is it left or right?", False),
     ("Where is the liver?", False), ("Is there a nodule? Where is it?", False), ("Island of tissue", False)],
)  # fmt: skip
def test_closed_questions_are_known_by_their_words(question: str, closed: bool) -> None:
    assert is_closed(question) is closed


def test_a_later_turn_need_not_show_the_image_again(client, example) -> None:
    messages = [
        {"role": "system", "content": "You are a careful reader."},
        {"role": "user", "content": shown(example, "What do you see?")},
        {"role": "assistant", "content": "A liver.", "refusal": None},
        {"role": "user", "content": "How large is it?"},
    ]
    answer = client.post(CHAT, json={"model": "nano", "messages": messages, "max_tokens": 4}).json()
    assert answer["choices"][0]["message"]["radfoundry"]["about"]["images"] == [example["images"][0]["image_id"]]


def test_a_picture_in_the_message_and_a_volume_can_be_asked_about_together(client, example) -> None:
    content = [{"type": "image_url", "image_url": {"url": data_url(png_bytes())}}, *shown(example, "Compare them.")]
    images = ask(client, content)["choices"][0]["message"]["radfoundry"]["about"]["images"]
    assert len(images) == 2
    assert images[1] == example["images"][0]["image_id"]


def test_a_region_by_id_mask_box_or_name_is_what_the_answer_is_about(client, example) -> None:
    regions = client.get(f"/v1/files/{example['id']}/regions").json()["data"]
    region = next(r for r in regions if r["label"] == "left kidney")
    ways = (
        {"region_id": region["region_id"]},
        {"mask_id": region["mask_id"], "label_value": region["label_value"]},
        {"name": "left kidney"},
        {"name": "kidney_left"},
    )
    answers = []
    for way in ways:
        content = [shown(example, "")[0], {"type": "region", "region": way}, {"type": "text", "text": "What is this?"}]
        message = ask(client, content)["choices"][0]["message"]
        assert message["radfoundry"]["about"]["region"] == "left kidney"
        answers.append(message["content"])
    assert len(set(answers)) == 1
    box = [
        shown(example, "")[0],
        {"type": "region", "region": {"box": region["box"]}},
        {"type": "text", "text": "What?"},
    ]
    assert ask(client, box)["choices"][0]["message"]["radfoundry"]["about"]["region"] == "marked region"


def test_seeds_and_stops_do_what_they_say(client, example) -> None:
    def words(**more) -> str:
        return ask(client, shown(example, "Describe."), temperature=1.5, max_tokens=12, **more)["choices"][0][
            "message"
        ]["content"]

    assert words(seed=1) == words(seed=1)
    assert len({words(seed=s) for s in range(4)}) > 1
    text = words(seed=1)
    assert words(seed=1, stop=[text[2:4]]) == text[: text.index(text[2:4])]


def test_a_schema_is_kept_even_by_a_model_that_knows_nothing(client, example) -> None:
    schema = {
        "type": "object",
        "properties": {"side": {"enum": ["left", "right"]}, "count": {"type": "integer", "minimum": 0, "maximum": 300}},
        "required": ["side", "count"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "finding", "strict": True, "schema": schema}}
    answer = ask(client, shown(example, "Fill this in."), response_format=wanted, max_tokens=60)["choices"][0]
    found = json.loads(answer["message"]["content"])
    assert found["side"] in ("left", "right")
    assert 0 <= found["count"] <= 300
    assert answer["finish_reason"] == "stop"


def test_what_report_text_holds_is_text(client, example) -> None:
    """RFM: words that look like markup, markers of images aside, go in and come out as they are."""
    messages = [
        {"role": "user", "content": shown(example, "What?")},
        {"role": "assistant", "content": "<script>alert(1)</script>"},
        {"role": "user", "content": "<b>Again</b> [SEG] <|eos|>"},
    ]
    answer = client.post(CHAT, json={"model": "nano", "messages": messages, "max_tokens": 2})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")


class _Study:
    """An opened study that brings given masks and boxes back."""

    def __init__(self, masks, boxes) -> None:
        self.masks, self.boxes = masks, boxes

    def masks_back(self, _):
        return self.masks

    def boxes_back(self, _):
        return self.boxes


@pytest.fixture
def pointing(client, example) -> Pointing:
    places = client.app.state.places
    image = places.image(example["id"])
    talk = Conversation([image], [("user", ["Where is the left kidney? Give its box."])])
    return Pointing(talk, places)


def test_a_sentence_carries_the_mark_of_its_region_and_no_other_one(pointing) -> None:
    text = "The left kidney is of normal size. Nothing else."
    whole = pointing.whole(Answered(Answer(text, 0.5), _Study([], []), 0.1), 0.2)
    (mark,) = whole["marks"]
    assert text[mark["start"] : mark["end"]] == "The left kidney is of normal size."
    assert (mark["label"], mark["side"], mark["region_id"][:4]) == ("left kidney", "left", "reg_")


def test_marks_come_as_soon_as_their_sentence_is_whole(pointing) -> None:
    assert pointing.grown("The left kidney is") == []
    assert pointing.grown("The left kidney is normal. The") != []
    assert pointing.grown("The left kidney is normal. The right") == []


def test_a_drawn_mask_and_box_are_named_kept_and_tied_to_their_sentence(pointing, client) -> None:
    image = pointing.talk.images[0]
    mask = np.zeros(image.grid.shape, bool)
    mask[10:20, 30:40, 50:60] = True
    answer = Answer("The left kidney is outlined.", 0.5, mask_at=(0,), box_at=(0,), masks=(mask,), boxes=(mask,))
    whole = pointing.whole(Answered(answer, _Study([mask], [Box((10, 30, 50), (20, 40, 60))]), 0.1), 0.2)
    (drawn,), (box,) = whole["masks"], whole["boxes"]
    assert drawn["voxels"] == 1000
    assert drawn["box"] == box["box"] == box["source_box"] == [10, 30, 50, 20, 40, 60]
    assert drawn["label"] == box["label"] == "left kidney"
    assert client.get(f"/v1/masks/{drawn['mask_id']}").status_code == 200
    assert drawn["mask_id"] in {mark["mask_id"] for mark in whole["marks"]}


def test_an_empty_mask_is_no_mask(pointing) -> None:
    nothing = np.zeros(pointing.talk.images[0].grid.shape, bool)
    answer = Answer("It is outlined.", 0.5, mask_at=(0,), masks=(nothing,))
    assert pointing.whole(Answered(answer, _Study([nothing], []), 0.1), 0.2)["masks"] == []
