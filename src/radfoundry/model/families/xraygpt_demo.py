"""XrayGPT's published chat and schedule, defects included: what its demo sends, cuts, stops at and shows.

Only for comparing with the published code; conversations of ours go through `XrayGPTProcessor`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from radfoundry.model.families.xraygpt import decode_published, encode_published
from radfoundry.model.vocabulary import Codec

SYSTEM = (
    "You are an experienced Doctor, give the following medical scan: <Img>ImageContent</Img>. "
    "You will be able to see the medical scan once I provide it to you. Please answer my questions."
)


@dataclass(frozen=True)
class Conversation:
    """The demo's conversation: system text, messages of Patient and Doctor, separators by style."""

    system: str = SYSTEM
    messages: tuple[tuple[str, str | None], ...] = ()
    separators: tuple[str, ...] = ("###",)

    def upload(self) -> Conversation:
        """A picture comes: a Patient message of its own."""
        return self.say("Patient", "<Img><ImageHere></Img>")

    def ask(self, text: str) -> Conversation:
        """A question joins a picture that was just uploaded, else it is a new message."""
        if self.messages and self.messages[-1][0] == "Patient" and (self.messages[-1][1] or "").endswith("</Img>"):
            role, last = self.messages[-1]
            return replace(self, messages=(*self.messages[:-1], (role, f"{last} {text}")))
        return self.say("Patient", text)

    def say(self, role: str, text: str | None) -> Conversation:
        """Append a message; no text leaves the turn open."""
        return replace(self, messages=(*self.messages, (role, text)))

    def prompt(self) -> str:
        """The whole context; an empty message is treated as an open turn, without its separator."""
        text = self.system + self.separators[0]
        for i, (role, message) in enumerate(self.messages):
            separator = self.separators[i % len(self.separators)]
            text += f"{role}: {message}{separator}" if message else f"{role}:"
        return text

    def segments(self, words: Codec) -> list[list[int]]:
        """Ids of the text between images; the begin token stands before the first alone."""
        parts = [encode_published(part, words) for part in self.prompt().split("<ImageHere>")]
        return [[1, *parts[0]], *parts[1:]]

    def rows(self, offset: int = 2) -> list[tuple[str | None, str | None]]:
        """Pairs of question and answer for a chat box, from message `offset` on."""
        texts = [text for _, text in self.messages[offset:]]
        texts += [None] * (len(texts) % 2)
        return list(zip(texts[::2], texts[1::2], strict=True))


def spread(segments: Sequence[Sequence[int]], tokens: int) -> tuple[Tensor, Tensor]:
    """Ids and visual rows `[1, T]` of segments with an image between each two."""
    ids, visual = list(segments[0]), [-1] * len(segments[0])
    for image, segment in enumerate(segments[1:]):
        ids += [0] * tokens + list(segment)
        visual += [*range(image * tokens, (image + 1) * tokens), *[-1] * len(segment)]
    return torch.tensor([ids]), torch.tensor([visual])


def window(length: int, max_new_tokens: int = 300, max_length: int = 2000) -> int:
    """Tokens of a context that the published code keeps, from its end: begin token and image go first."""
    return max(0, length - max(0, length + max_new_tokens - max_length))


STOPS = ((835,), (2277, 29937))


def stops(first_row: Sequence[int]) -> bool:
    """Does the published rule end the batch? It looks at the first row alone and at LLaMA's ids of `###`."""
    return any(len(first_row) >= len(stop) and tuple(first_row[-len(stop) :]) == stop for stop in STOPS)


def read_answer(ids: Sequence[int], words: Codec) -> tuple[str, str]:
    """What the published chat shows and what it stores: one leading 0, then one leading 1 dropped, special tokens kept."""
    ids = list(ids)
    for leading in (0, 1):
        if ids and ids[0] == leading:
            ids = ids[1:]
    text = decode_published(ids, words).split("###")[0].split("Doctor:")[-1].strip()
    return text.replace("ChatDoctor", "XrayGPT").replace("Chat Doctor", "XrayGPT"), text


def clean_report(text: str) -> str:
    """The evaluation loop's cleaning; newlines go without a space in their place."""
    for part in ("<Img>", "Impression:", "\n", "#", "___"):
        text = text.replace(part, "")
    return text


def sampling_chances(logits: Tensor, temperature: float, top_k: int = 50, top_p: float = 0.9) -> Tensor:
    """The distribution that is drawn from: temperature, then the likeliest 50, then the smallest set over 0.9."""
    ids = torch.zeros(len(logits), 1, dtype=torch.long)
    for step in (TemperatureLogitsWarper(temperature), TopKLogitsWarper(top_k), TopPLogitsWarper(top_p)):
        logits = step(ids, logits)
    return logits.softmax(dim=-1)


def learning_rate(
    epoch: int, step: int, *, epochs: int, steps: int, start: float, peak: float, floor: float, warmup: int
) -> float:
    """The published rate before a step: a ramp over the steps *of the epoch*, then a cosine over all steps."""
    total = epoch * steps + step
    if total < warmup:
        return min(peak, start + (peak - start) * step / max(warmup, 1))
    return (peak - floor) * 0.5 * (1 + math.cos(math.pi * total / (epochs * steps))) + floor


def checkpoint_name(epoch: int) -> str:
    """The file that published training writes after an epoch."""
    return f"checkpoint_{epoch}.pth"
