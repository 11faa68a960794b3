"""Any model behind an OpenAI-compatible endpoint as a predictor: `openai:URL#MODEL`."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from radfoundry import llm
from radfoundry.errors import UsageError
from radfoundry.evaluation.predictors.showing import read_answer, shown, words_of
from radfoundry.ids import settings_hash
from radfoundry.protocols import Answer, Picture, Question
from radfoundry.records import MadeBy, Part

__all__ = ["EndpointModel"]


class EndpointModel:
    """Asks many questions at once; every answer is given as it comes, so that a run that is killed has lost none that had come."""

    looks = True

    def __init__(self, endpoint: llm.Endpoint) -> None:
        self.endpoint = endpoint
        self.name = endpoint.model
        # the address is left out: the same model may move
        settings = settings_hash({**endpoint.settings, "max_tokens": endpoint.max_tokens})
        self.made_by = MadeBy("openai", "1", settings, endpoint.model)

    @classmethod
    def at(cls, what: str) -> EndpointModel:
        """Return the predictor of "URL#MODEL". Raises UsageError where either is missing."""
        url, _, model = what.rpartition("#")
        if not url or not model:
            raise UsageError(
                f"openai:{what} names no endpoint",
                "it wants an address and a model",
                "openai:http://HOST:PORT/v1#MODEL",
            )
        return cls(llm.Endpoint(url, model))

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Return one answer a question, in order."""
        found = dict(self.answer_each(questions))
        return [found[place] for place in range(len(questions))]

    def answer_each(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Yield (place, answer) as answers come. What cannot be answered in words is not sent."""
        places = [place for place, question in enumerate(questions) if question.answer_kind != "mask"]
        for place in sorted(set(range(len(questions))) - set(places)):
            yield place, read_answer(questions[place], "", 0.0, "")
        for number, reply in llm.ask_all(self.endpoint, _Conversations([questions[place] for place in places])):
            question, tokens = questions[places[number]], (reply.prompt_tokens, reply.answer_tokens)
            answer = read_answer(question, reply.text, reply.seconds, _sent(question), tokens)
            yield places[number], replace(answer, error=reply.error) if reply.error else answer


class _Conversations(Sequence[list[llm.Message]]):
    """The messages of each question, made when they are sent: pictures of a thousand questions need not be held together."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, place: Any) -> Any:
        return _messages(self.questions[place])


def _messages(question: Question) -> list[llm.Message]:
    pictures = {p.image_id: p for p in question.pictures}
    return [
        {"role": turn.role, "content": [_content(part, pictures) for part in parts]}
        for turn, parts in zip(question.turns, words_of(question), strict=True)
    ]


def _content(part: Part, pictures: Mapping[str, Picture]) -> dict[str, Any]:
    if part.kind == "image":
        return {"type": "image_url", "image_url": {"url": _data_url(pictures[part.ref])}}
    return {"type": "text", "text": part.text}


def _sent(question: Question) -> str:
    """The words that went out, pictures as a mark."""
    turns = zip(question.turns, words_of(question), strict=True)
    return "\n".join(
        f"{turn.role}: {' '.join('<picture>' if part.kind == 'image' else part.text for part in parts)}"
        for turn, parts in turns
    )


@lru_cache(maxsize=64)
def _data_url(picture: Picture) -> str:
    buffer = io.BytesIO()
    shown(picture).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
