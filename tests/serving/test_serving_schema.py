"""Answers of a model that knows nothing fit their schema, all of them, and end in time."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from pydantic import BaseModel, Field

from radfoundry.model import Answerer, Question
from radfoundry.serving.refusals import Refusal
from radfoundry.serving.schema import SchemaGuide, check_answer, schema_grammar


class Finding(BaseModel):
    name: str
    size_mm: float
    side: Literal["left", "right", "none"]
    count: int = Field(ge=0, le=300)


class Report(BaseModel):
    findings: list[Finding]
    impression: str
    normal: bool
    note: str | None


GRAMMAR = schema_grammar(Report.model_json_schema())


def fill(answerer: Answerer, seed: int, limit: int, temperature: float = 1.5) -> str:
    study = answerer.open([torch.zeros(1, *answerer.model.config.vision.size)], "zeros")
    guide = SchemaGuide(GRAMMAR, answerer.processor, limit)
    question = Question("Fill it in.", max_tokens=limit, temperature=temperature, seed=seed, guide=guide)
    (answer,) = answerer.ask(study, [question])
    assert answer.finish == "stop"
    assert answer.tokens <= limit
    return answer.text


@pytest.mark.parametrize("seed", range(3))
def test_an_answer_fits_and_ends_within_its_tokens(answerer, seed: int) -> None:
    text = fill(answerer, seed, 120)
    Report.model_validate_json(text)
    check_answer(text, Report.model_json_schema())


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 1.0, 1.5, 2.0])
def test_thirty_of_thirty_fit(answerer, temperature: float) -> None:
    for seed in range(30):
        Report.model_validate_json(fill(answerer, seed, 200, temperature))


def test_too_few_tokens_for_any_answer_are_refused_beforehand(answerer) -> None:
    with pytest.raises(Refusal) as caught:
        SchemaGuide(GRAMMAR, answerer.processor, 5)
    assert caught.value.status_code == 400
    assert "5" in caught.value.why


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "array", "items": {"type": "string", "pattern": "^[a-z}]{2,9}$"}}, "minItems": 2},
        {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "string", "minLength": 3}}, "required": ["b"]},
        {"type": "string", "enum": ["}", '"', "a\\b"]},
        {"$defs": {"t": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/t"}}},
                         "required": ["kids"]}}, "$ref": "#/$defs/t"},
        {"type": "integer"}, {"type": ["null", "boolean"]}, {"const": 3},
    ],
)  # fmt: skip
def test_schemas_of_many_shapes_come_to_their_end(answerer, schema: dict) -> None:
    study = answerer.open([torch.zeros(1, *answerer.model.config.vision.size)], "zeros")
    grammar = schema_grammar(schema)
    for seed in range(2):
        guide = SchemaGuide(grammar, answerer.processor, 80)
        question = Question("Fill it in.", max_tokens=80, temperature=1.5, seed=seed, guide=guide)
        (answer,) = answerer.ask(study, [question])
        assert answer.finish == "stop", answer.text
        check_answer(answer.text, schema)


def test_what_does_not_fit_is_found_by_the_last_look() -> None:
    with pytest.raises(Refusal):
        check_answer("{}", Report.model_json_schema())
    with pytest.raises(Refusal):
        check_answer("no json", {"type": "object"})
