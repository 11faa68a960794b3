"""Asking: together as alone, closed questions by likelihood, caches bounded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_model import SHAPE

from radfoundry.errors import UsageError
from radfoundry.model import VLM, Answerer, ImagePart, Processor, Question, RegionPart, Turn


@pytest.fixture
def answerer(model: VLM, processor: Processor) -> Answerer:
    return Answerer(model, processor, studies=2, rows=16)


def questions(lesion: np.ndarray) -> list[Question]:
    history = (Turn("user", ["Any nodule?"]), Turn("assistant", ["yes"]))
    return [
        Question("Is there an effusion?", max_tokens=5),
        Question("A much longer question about the left lung and the heart?", max_tokens=8),
        Question("Is it there?", choices=("yes", "no")),
        Question(["What is ", RegionPart(0, lesion), "?"], max_tokens=4),
        Question("Which?", choices=("left", "right", "the heart is enlarged")),
        Question("Where?", history=history, max_tokens=6),
        Question("Sure?", choices=("no", "yes"), history=history),
    ]


def test_fifty_questions_together_are_answered_as_alone(
    answerer: Answerer, volume: torch.Tensor, lesion: np.ndarray
) -> None:
    study = answerer.open([volume])
    asked = (questions(lesion) * 8)[:50]
    together = answerer.ask(study, asked)
    assert len(together) == 50
    for question, answer in list(zip(asked, together, strict=True))[:7]:
        (alone,) = answerer.ask(answerer.open([volume]), [question])
        assert answer.text == alone.text
        assert answer.confidence == pytest.approx(alone.confidence, abs=1e-5)
        assert answer.probabilities == pytest.approx(alone.probabilities, abs=1e-5)


def test_a_closed_answer_is_the_likeliest_choice_and_the_chances_add_up(
    answerer: Answerer, model: VLM, processor: Processor, volume: torch.Tensor
) -> None:
    choices = ("left", "right", "the heart is enlarged")
    (answer,) = answerer.ask(answerer.open([volume]), [Question("Which?", choices=choices)])
    scores = []
    for choice in choices:
        sample = processor.encode([Turn("user", [ImagePart(), "Which?"]), Turn("assistant", [choice])], [SHAPE])
        with torch.inference_mode():
            logits = model(processor.collate([sample], [[volume]])).logits[0].log_softmax(-1)
        scores.append(sum(logits[t - 1, i] for t, i in enumerate(sample.labels) if i != -100))
    expected = torch.stack(scores).softmax(0)
    assert list(answer.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-4)
    assert answer.text == choices[int(expected.argmax())]


def test_a_threshold_moves_the_decision_and_not_the_probability(answerer: Answerer, volume: torch.Tensor) -> None:
    study = answerer.open([volume])
    never, always = (
        answerer.ask(study, [Question("Is it?", choices=("yes", "no"), threshold=t)])[0] for t in (1.1, 0.0)
    )
    assert (never.text, always.text) == ("no", "yes")
    assert never.probabilities == always.probabilities


def test_masks_and_boxes_lie_on_the_view(answerer: Answerer, volume: torch.Tensor) -> None:
    study = answerer.open([volume])
    for answer in answerer.locate(study, [Question("nodule"), Question("the left lung")]):
        assert answer.mask is not None
        assert answer.mask.shape == SHAPE
        assert 0 <= answer.mask.min() <= answer.mask.max() <= 1
    (answer,) = answerer.locate(study, [Question("nodule")], kind="box")
    assert answer.box is not None
    assert (answer.box >= 0).all()
    assert (answer.box <= np.array([*SHAPE, *SHAPE])).all()


def test_a_study_is_encoded_once_and_the_oldest_is_forgotten(answerer: Answerer, volume: torch.Tensor) -> None:
    reads: list[int] = []

    def read(i: int) -> list[torch.Tensor]:
        reads.append(i)
        return [volume * i]

    for i in (1, 2, 1, 3, 1, 2):
        answerer.open(lambda i=i: read(i), key=i)
    assert reads == [1, 2, 3, 2]


def test_streamed_pieces_join_to_the_answer(answerer: Answerer, volume: torch.Tensor) -> None:
    study = answerer.open([volume])
    question = Question("Describe the heart.", max_tokens=12)
    assert "".join(answerer.stream(study, question)) == answerer.ask(study, [question])[0].text


def test_a_closed_question_is_not_streamed(answerer: Answerer, volume: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="closed question is not streamed"):
        next(answerer.stream(answerer.open([volume]), Question("?", choices=("a", "b"))))


def test_several_images_and_none_can_be_asked_about(answerer: Answerer, volume: torch.Tensor) -> None:
    both = answerer.open([volume, volume[:, :1]])
    assert both.shapes == [SHAPE, (1, 16, 16)]
    assert answerer.ask(both, [Question("Compare.", max_tokens=3)])[0].confidence > 0
    assert answerer.ask(answerer.open([]), [Question("Hello", max_tokens=3)])[0].confidence > 0
