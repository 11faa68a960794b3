"""Asking in company and under conditions: several studies, images in their place, grammars, draws, ends, the way back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import SHAPE

from radfoundry.errors import UsageError
from radfoundry.geometry import Box, Grid
from radfoundry.model import VLM, Answer, Answerer, ImagePart, Processor, Question, RegionPart, Turn
from radfoundry.model.looking import look_at
from radfoundry.model.questions import pick
from radfoundry.model.writing import Draft, choose


@pytest.fixture
def answerer(model: VLM, processor: Processor) -> Answerer:
    return Answerer(model, processor)


def same(one: Answer, other: Answer) -> bool:
    close = one.confidence == pytest.approx(other.confidence, abs=1e-5)
    return one.text == other.text and close and one.finish == other.finish and one.tokens == other.tokens


def test_questions_about_different_studies_are_answered_together_as_alone(
    answerer: Answerer, volume: torch.Tensor, lesion: np.ndarray
) -> None:
    studies = [answerer.open([volume]), answerer.open([volume * 0.3, volume[:, :2]]), answerer.open([])]
    asked = [
        (studies[0], Question("Is there an effusion?", max_tokens=5)),
        (studies[1], Question("Compare the two examinations of the heart.", max_tokens=7)),
        (studies[1], Question(["What is ", RegionPart(0, lesion), "?"], max_tokens=4)),
        (studies[2], Question("Hello", max_tokens=3)),
        (studies[0], Question("Which?", choices=("left", "right"))),
        (studies[1], Question("Which?", choices=("left", "the heart"))),
    ]
    together = {number: said for number, said in answerer.run(asked) if isinstance(said, Answer)}
    for number, (study, question) in enumerate(asked):
        assert same(together[number], answerer.ask(study, [question])[0]), number


def test_images_stand_where_the_conversation_names_them(
    answerer: Answerer, model: VLM, processor: Processor, volume: torch.Tensor
) -> None:
    views, shapes = [volume, volume * 0.2], [SHAPE, SHAPE]
    parts = ["A prior examination: ", ImagePart(1), " and this one: ", ImagePart(0), " What is new?"]
    study = answerer.open(views)
    (answer,) = answerer.ask(study, [Question(parts, max_tokens=1)])
    sample = processor.encode([Turn("user", parts)], shapes, open_answer=True)
    with torch.inference_mode():
        logits = model(processor.collate([sample], [views])).logits[0, -1].softmax(-1)
    assert answer.confidence == pytest.approx(float(logits.max()), abs=1e-5)
    assert answer.prompt_tokens == len(sample.ids)
    (leading,) = answerer.ask(study, [Question("What is new?", max_tokens=1)])
    assert leading.confidence != pytest.approx(answer.confidence, abs=1e-7)


def test_an_image_of_a_later_turn_stays_in_that_turn(answerer: Answerer, volume: torch.Tensor) -> None:
    history = (Turn("user", ["Hello"]), Turn("assistant", ["yes"]))
    study = answerer.open([volume])
    late = Question([ImagePart(0), "And now?"], history=history, max_tokens=4)
    early = Question("And now?", history=history, max_tokens=4)
    alone = [answerer.ask(study, [question])[0] for question in (late, early)]
    for one, other in zip(answerer.ask(study, [late, early]), alone, strict=True):
        assert same(one, other)
    assert alone[0].confidence != pytest.approx(alone[1].confidence, abs=1e-7)


def test_a_region_may_be_a_name_of_the_ontology(answerer: Answerer, volume: torch.Tensor) -> None:
    study = answerer.open([volume])
    asked = [Question(["Is ", part, " clear?"], max_tokens=4) for part in (RegionPart(name="lung_left"), "left lung")]
    named, spelled = answerer.ask(study, asked)
    assert same(named, spelled)


class Only:
    """Allows some tokens, then the end."""

    def __init__(self, ids: list[int], end: int, width: int) -> None:
        self.ids, self.end, self.width = ids, end, width

    def allowed(self, ids: list[int]) -> torch.Tensor:
        mask = torch.zeros(self.width, dtype=torch.bool)
        mask[self.ids[len(ids)] if len(ids) < len(self.ids) else self.end] = True
        return mask


def test_a_guide_decides_what_may_be_written_and_disturbs_nobody_else(
    answerer: Answerer, processor: Processor, volume: torch.Tensor
) -> None:
    study = answerer.open([volume])
    ids = processor.vocabulary.encode("The heart is enlarged.")
    guide = Only(ids, processor.special["eos"], processor.vocabulary.size)
    free = Question("Which?", max_tokens=40)
    held, other = answerer.ask(study, [Question("Which?", guide=guide, max_tokens=40), free])
    assert (held.text, held.finish) == ("The heart is enlarged.", "stop")
    assert held.confidence < 0.5
    assert same(other, answerer.ask(study, [free])[0])


def test_a_json_schema_is_held_by_a_real_grammar_engine(
    answerer: Answerer, processor: Processor, volume: torch.Tensor
) -> None:
    llguidance = pytest.importorskip("llguidance", reason="the grammar engine comes with the serving extra")
    codec = processor.vocabulary.codec
    vocabulary = llguidance.LLTokenizer(codec.to_bytes().decode())
    schema = {
        "type": "object",
        "properties": {"present": {"type": "boolean"}, "side": {"enum": ["left", "right"]}},
        "required": ["present", "side"],
        "additionalProperties": False,
        "x-guidance": {"whitespace_flexible": False},
    }
    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema))

    class Grammar:
        def allowed(self, ids: list[int]) -> torch.Tensor:
            matcher = llguidance.LLMatcher(vocabulary, grammar)
            assert matcher.consume_tokens(list(ids))
            mask = torch.zeros(processor.vocabulary.size, dtype=torch.bool)
            bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
            allowed = np.unpackbits(bits, bitorder="little")[: codec.size].astype(bool)
            mask[: codec.size] = torch.from_numpy(allowed)
            if matcher.is_accepting():
                mask[processor.special["eos"]] = True
            return mask

    question = Question("Is there an effusion?", guide=Grammar(), max_tokens=80)
    (answer,) = answerer.ask(answerer.open([volume]), [question])
    values = json.loads(answer.text)
    assert set(values) == {"present", "side"}
    assert values["side"] in ("left", "right")


def test_draws_follow_their_own_seed_in_any_company(answerer: Answerer, volume: torch.Tensor) -> None:
    study = answerer.open([volume])
    drawn = [Question("Describe.", max_tokens=8, temperature=2.0, seed=seed) for seed in (1, 2)]
    first, second = answerer.ask(study, drawn)
    assert first.text != second.text
    assert same(answerer.ask(study, [drawn[1]])[0], second)
    greedy = Question("Describe.", max_tokens=8)
    narrow = Question("Describe.", max_tokens=8, temperature=1.0, top_p=1e-6)
    assert same(*answerer.ask(study, [greedy, narrow]))


def test_an_answer_ends_at_a_stop_text_and_streams_nothing_of_it(
    answerer: Answerer, processor: Processor, volume: torch.Tensor
) -> None:
    study = answerer.open([volume])
    ids = processor.vocabulary.encode("The heart is enlarged. The heart")
    question = Question(
        "?", max_tokens=40, stop=("enlarged",), guide=Only(ids, processor.special["eos"], processor.vocabulary.size)
    )
    pieces = []
    stream = answerer.stream(study, question)
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            answer = end.value
            break
    assert answer.text == "".join(pieces) == "The heart is "
    assert answer.finish == "stop"


def test_an_answer_that_is_too_long_says_so(answerer: Answerer, processor: Processor, volume: torch.Tensor) -> None:
    long = Only(processor.vocabulary.encode("The heart is enlarged."), processor.special["eos"], 400)
    (answer,) = answerer.ask(answerer.open([volume]), [Question("?", max_tokens=2, guide=long)])
    assert (answer.finish, answer.tokens) == ("length", 2)


def test_a_question_that_is_called_off_ends_while_its_neighbour_goes_on(
    answerer: Answerer, processor: Processor, volume: torch.Tensor
) -> None:
    study, asked = answerer.open([volume]), iter([False, False, True])
    ids = processor.vocabulary.encode("The heart is enlarged. The heart is enlarged.")
    guide = Only(ids, processor.special["eos"], processor.vocabulary.size)
    off, on = answerer.ask(
        study,
        [
            Question("?", guide=guide, max_tokens=60, cancelled=lambda: next(asked)),
            Question("?", guide=guide, max_tokens=60),
        ],
    )
    assert (off.finish, off.tokens) == ("cancelled", 2)
    assert on.text == "The heart is enlarged. The heart is enlarged."


def test_leaving_a_stream_leaves_nothing_behind(answerer: Answerer, volume: torch.Tensor) -> None:
    study = answerer.open([volume])
    stream = answerer.stream(study, Question("Describe the heart.", max_tokens=9))
    next(stream, None)
    stream.close()
    assert not torch.is_inference_mode_enabled()


def test_the_consumer_of_a_stream_is_not_in_inference_mode(answerer: Answerer, volume: torch.Tensor) -> None:
    for _ in answerer.stream(answerer.open([volume]), Question("Describe the heart.", max_tokens=9)):
        assert not torch.is_inference_mode_enabled()


def test_masks_and_boxes_go_back_to_the_scan(answerer: Answerer, model: VLM) -> None:
    grid = Grid.axial((12, 40, 30), (4.0, 2.0, 2.0))
    look = look_at(np.random.default_rng(0).normal(0, 300, grid.shape), grid, "CT", model.config)
    study = answerer.open([look])
    (pointed,) = answerer.locate(study, [Question("nodule")])
    (mask,) = study.masks_back(pointed)
    assert mask.shape == grid.shape
    inside = np.zeros(look.shape, dtype=np.float32)
    inside[2:5, 4:9, 4:10] = 1
    (back,) = study.masks_back(Answer("", 1.0, masks=(inside,)))
    (box,) = study.boxes_back(Answer("", 1.0, boxes=(np.array([2, 4, 4, 5, 9, 10], dtype=np.float32),)))
    places = np.argwhere(back)
    assert box is not None
    held = Box(tuple(places.min(axis=0)), tuple(places.max(axis=0) + 1))
    assert np.abs(np.array(held.flat) - np.array(box.flat)).max() <= 3
    with pytest.raises(UsageError, match="way back is not known"):
        answerer.open([look.pixels]).masks_back(pointed)


def test_the_cache_is_bounded_by_bytes_too(model: VLM, processor: Processor, volume: torch.Tensor) -> None:
    one = Answerer(model, processor).open([volume]).nbytes
    answerer = Answerer(model, processor, studies=50, cache_bytes=3 * one)
    for key in range(6):
        answerer.ask(answerer.open([volume], key=key), [Question("Is it?", max_tokens=1)])
    assert 0 < answerer.cached_bytes <= 3 * one
    answerer.forget(5)
    answerer.forget("never opened")
    assert answerer.cached_bytes <= 2 * one


def test_what_a_study_holds_grows_with_its_maps_and_not_with_its_questions(
    answerer: Answerer, volume: torch.Tensor
) -> None:
    study = answerer.open([volume])
    before = study.nbytes
    answerer.locate(study, [Question("nodule")])
    decoded = study.nbytes
    assert decoded > before
    answerer.ask(study, [Question(f"Question {n}?", max_tokens=1) for n in range(30)])
    answerer.locate(study, [Question("heart"), Question("lung")])
    assert study.nbytes == decoded


def test_batches_are_bounded_by_tokens(model: VLM, processor: Processor, volume: torch.Tensor) -> None:
    narrow, wide = Answerer(model, processor, batch_tokens=1), Answerer(model, processor)
    asked = [Question("Is it?", max_tokens=3), Question("Which?", choices=("a", "b"))]
    for one, other in zip(narrow.ask(narrow.open([volume]), asked), wide.ask(wide.open([volume]), asked), strict=True):
        assert same(one, other)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6))
def test_abstention_is_none_for_the_sure_and_whole_for_the_undecided(scores: list[float]) -> None:
    names = tuple("abcdef"[: len(scores)])
    answer = pick(Question("?", choices=names), torch.tensor(scores))
    assert -1e-6 <= answer.abstention <= 1 + 1e-6
    assert pick(Question("?", choices=names), torch.zeros(len(scores))).abstention == pytest.approx(1)
    assert pick(Question("?", choices=names), torch.tensor([90.0] + [0.0] * (len(scores) - 1))).abstention < 1e-6
    assert Answer("x", 0.25).abstention == 0.75


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), top_p=st.floats(0.05, 1))
def test_draws_come_from_the_smallest_set_over_top_p(processor: Processor, seed: int, top_p: float) -> None:
    logits = torch.randn(1, 12, generator=torch.Generator().manual_seed(seed))
    draft = Draft(Question("?", temperature=1.0, top_p=top_p, seed=seed), processor)
    tokens, chances = choose(logits.clone(), [draft])
    likelier = logits.softmax(-1)[0][logits[0] > logits[0, tokens[0]]].sum()
    assert likelier < top_p + 1e-6
    assert chances[0] == pytest.approx(float(logits.softmax(-1)[0, tokens[0]]))


def test_a_guide_that_allows_nothing_ends_the_answer(processor: Processor) -> None:
    class Nothing:
        def allowed(self, ids: list[int]) -> torch.Tensor:
            return torch.zeros(12, dtype=torch.bool)

    draft = Draft(Question("?", guide=Nothing()), processor)
    choose(torch.randn(1, 12), [draft])
    assert draft.finish == "stop"
