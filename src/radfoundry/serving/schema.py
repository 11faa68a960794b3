"""Holding an answer to a JSON schema: which tokens may come next, and how to come to an end within the tokens that are left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radfoundry.errors import MissingExtraError, UsageError
from radfoundry.model import Processor
from radfoundry.serving.refusals import Refusal

__all__ = ["SchemaGuide", "check_answer", "schema_grammar"]

_CLOSERS = "}],"
"""What ends something outside of a text, best first: an object, an array, a number."""
_LONGEST = 4096
_NEAR = 24  # tokens between the shortest end and the last token at which closing begins, at least


@lru_cache(maxsize=4)
def _tokens(processor: Processor) -> Any:
    """The model's tokens as llguidance knows them."""
    try:
        import llguidance
    except ImportError as error:
        raise MissingExtraError("response_format needs llguidance", "it is not installed", extra="serve") from error
    codec = processor.vocabulary.codec
    if codec.file_name != "tokenizer.json":
        raise UsageError(
            "this model's answers cannot be held to a schema", "its tokens are not those of a tokenizer.json"
        )
    tokenizer = json.loads(codec.to_bytes())
    tokenizer["added_tokens"] += [_special(name, k) for name, k in processor.special.items() if k >= codec.size]
    return llguidance.LLTokenizer(json.dumps(tokenizer), eos_token=processor.special["eos"])


def _special(name: str, number: int) -> dict[str, Any]:
    """Our special tokens lie behind the tokenizer's own and have no text; llguidance wants to hear of them."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": f"<|{name}|>", "special": True, **flags}


def schema_grammar(schema: dict[str, Any]) -> str:
    """Return the grammar of a JSON schema, without free white space. Raises Refusal (400) for what is no schema."""
    from llguidance import LLMatcher

    try:
        grammar: str = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
    except ValueError as error:
        raise _no_schema(str(error)) from error
    complaint = LLMatcher.validate_grammar(grammar)
    if complaint and not complaint.startswith("WARNING"):
        raise _no_schema(complaint)
    return grammar


def _no_schema(why: str) -> Refusal:
    return Refusal(
        400,
        "The schema of response_format cannot be enforced.",
        why.splitlines()[0][:300],
        "Use types, enum, required, properties, items, bounds and local $ref.",
        code="schema",
    )


class _Pen:
    """A grammar's state, and whether the text so far ends inside of quotation marks: there a brace closes nothing."""

    def __init__(self, matcher: Any, tokens: Any) -> None:
        self.matcher, self.tokens = matcher, tokens
        self.quoted = self.escaped = False

    def copy(self) -> _Pen:
        pen = _Pen(self.matcher.deep_copy(), self.tokens)
        pen.quoted, pen.escaped = self.quoted, self.escaped
        return pen

    def write(self, token: int) -> None:
        self.matcher.consume_token(token)
        for byte in self.tokens.decode_bytes([token]):
            if self.escaped:
                self.escaped = False
            elif byte == ord('"'):
                self.quoted = not self.quoted
            else:
                self.escaped = self.quoted and byte == ord("\\")


class SchemaGuide:
    """One answer on its way; after `limit` tokens it is complete.

    Free until the tokens that are left would only just do for the shortest end; from there on whatever can be closed is closed.
    Raises Refusal (400) where even the shortest answer needs more than `limit` tokens.
    """

    def __init__(self, grammar: str, processor: Processor, limit: int) -> None:
        from llguidance import LLMatcher

        tokens = _tokens(processor)
        self._pen = _Pen(LLMatcher(tokens, grammar), tokens)
        if self._pen.matcher.is_error():
            raise _no_schema(self._pen.matcher.get_error())
        self._size = processor.vocabulary.size
        self._end = processor.special["eos"]
        self._closers = [processor.vocabulary.encode(closer)[-1] for closer in _CLOSERS]
        self._quote = processor.vocabulary.encode('"')[-1]
        self._limit, self._read = limit, 0
        self._need = self._shortest()
        # one token may open a part that is as long as the whole
        self._margin = max(_NEAR, self._need)
        self._landing = False
        if self._need > limit:
            raise Refusal(
                400,
                "max_tokens is too small for the schema.",
                f"The shortest answer that fits has {self._need} tokens, max_tokens is {limit}.",
                f"Set max_tokens to {2 * self._need} or more.",
                code="schema",
            )

    def allowed(self, ids: Sequence[int]) -> Tensor | None:
        """Return which tokens may follow, `[vocabulary]`."""
        for token in ids[self._read :]:
            self._pen.write(token)
        self._read = len(ids)
        left = self._limit - self._read
        if not self._landing and left - self._need < 2 * self._margin:
            self._need = self._shortest()
            self._landing = left - self._need < self._margin
        mask = self._mask(self._pen)
        return torch.from_numpy(self._closing(self._pen, mask) if self._landing else mask)

    def _mask(self, pen: _Pen) -> npt.NDArray[np.bool_]:
        bits = np.frombuffer(pen.matcher.compute_bitmask(), np.uint8)
        return np.unpackbits(bits, count=self._size, bitorder="little").astype(bool)

    def _closing(self, pen: _Pen, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Keep of the allowed tokens the one that closes most, where there is one."""
        for token in [self._quote] if pen.quoted else [self._end, *self._closers]:
            if mask[token]:
                only = np.zeros(self._size, bool)
                only[token] = True
                return only
        return mask

    def _shortest(self) -> int:
        """How many tokens the answer still needs if everything is closed as soon as it can be; the end token counts."""
        pen = self._pen.copy()
        for count in range(1, _LONGEST):
            mask = self._closing(pen, self._mask(pen))
            token = int(mask.argmax())
            if token == self._end or not mask[token]:
                return count
            pen.write(token)
        return _LONGEST


def check_answer(text: str, schema: dict[str, Any]) -> None:
    """Look at a finished answer once more, with another library. Raises Refusal (500) where it does not fit its schema."""
    import jsonschema

    try:
        jsonschema.validate(json.loads(text), schema)
    except (ValueError, jsonschema.ValidationError) as error:
        reason = type(error).__name__
        raise Refusal(500, "The answer does not fit its schema.", reason, "Ask again.", code="schema") from error
