"""The chat request: OpenAI's, with parts for volumes and regions. What OpenAI defines and nothing here uses is ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ChatRequest", "ImageUrlPart", "Message", "RegionPart", "TextPart", "VolumePart"]

_IGNORED = (
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "metadata", "modalities",
    "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "reasoning_effort", "safety_identifier",
    "service_tier", "store", "tool_choice", "tools", "top_logprobs", "user", "verbosity", "web_search_options",
)  # fmt: skip
_LONGEST_TEXT = 100_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextPart(_Strict):
    """Words."""

    type: Literal["text"]
    text: str = Field(max_length=_LONGEST_TEXT)


class _ImageUrl(_Strict):
    url: str
    detail: str | None = None


class ImageUrlPart(_Strict):
    """A picture as a data URL."""

    type: Literal["image_url"]
    image_url: _ImageUrl


class _Volume(_Strict):
    file_id: str | None = None
    image_id: str | None = None
    study_id: str | None = None
    time: Literal["current", "prior"] = "current"

    @model_validator(mode="after")
    def _one(self) -> _Volume:
        if sum(given is not None for given in (self.file_id, self.image_id, self.study_id)) != 1:
            raise ValueError("a volume is one of file_id, image_id, study_id")
        return self


class VolumePart(_Strict):
    """An uploaded file, an image, or all images of a study; of now, or of an earlier examination."""

    type: Literal["volume"]
    volume: _Volume


class _Region(_Strict):
    region_id: str | None = None
    image_id: str | None = None
    box: list[int] | None = None
    mask_id: str | None = None
    label_value: int | None = None
    name: str | None = Field(None, max_length=200)

    @model_validator(mode="after")
    def _one(self) -> _Region:
        ways = (self.region_id is not None, self.box is not None, self.mask_id is not None, self.name is not None)
        if sum(ways) != 1 or (self.mask_id is None) != (self.label_value is None):
            raise ValueError("a region is one of region_id, box, mask_id with label_value, name")
        if self.box is not None and len(self.box) not in (4, 6):
            raise ValueError("a box has six numbers, in a picture four")
        return self


class RegionPart(_Strict):
    """What the question is about."""

    type: Literal["region"]
    region: _Region


Part = Annotated[TextPart | ImageUrlPart | VolumePart | RegionPart, Field(discriminator="type")]


class Message(BaseModel):
    """One turn; keys that assistants' messages carry back (`radfoundry`, `refusal`) are ignored."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=_LONGEST_TEXT)] | list[Part] | None = None

    @property
    def parts(self) -> list[TextPart | ImageUrlPart | VolumePart | RegionPart]:
        """The content as parts."""
        if isinstance(self.content, str):
            return [TextPart(type="text", text=self.content)]
        return list(self.content or [])


class _JsonSchema(_Strict):
    name: str = ""
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class _ResponseFormat(_Strict):
    type: Literal["text", "json_schema"]
    json_schema: _JsonSchema | None = None

    @model_validator(mode="after")
    def _whole(self) -> _ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema is given where the type is json_schema, and only there")
        return self


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(_Strict):
    """The body of POST /v1/chat/completions."""

    model: str
    messages: list[Message] = Field(min_length=1, max_length=200)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    n: Literal[1] | None = None
    response_format: _ResponseFormat | None = None

    @model_validator(mode="before")
    @classmethod
    def _ignore(cls, values: Any) -> Any:
        return {k: v for k, v in values.items() if k not in _IGNORED} if isinstance(values, dict) else values

    @property
    def schema_wanted(self) -> dict[str, Any] | None:
        """The JSON schema that the answer has to fit."""
        wanted = self.response_format.json_schema if self.response_format else None
        return wanted.schema_ if wanted else None

    @property
    def limit(self) -> int | None:
        """Tokens at most, if the client said."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts at which the answer ends, empty ones left out."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)[:4]
