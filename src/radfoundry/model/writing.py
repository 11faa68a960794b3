"""Answers token by token: choosing what comes next, noticing where an answer ends, remembering where it points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from radfoundry.model.attention import Trunk
from radfoundry.model.language_model import Past
from radfoundry.model.processor import Processor
from radfoundry.model.questions import Question
from radfoundry.model.vlm import VLM

__all__ = ["Draft", "Reading", "choose", "write"]


@dataclass
class Reading:
    """Questions that were read as one left-padded batch: the states of their tokens, and what lies behind them."""

    hidden: Tensor
    """`[rows, tokens, D]`"""
    past: Past
    mask: Tensor
    """`[rows, past tokens]`, 1 for what may be attended to."""
    positions: Tensor
    """`[rows, tokens]`"""
    trunk: Trunk | None
    """What the rows stand behind."""


@dataclass
class Draft:
    """One answer while it is being written."""

    question: Question
    processor: Processor
    generator: torch.Generator | None = None
    ids: list[int] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    seg: list[Tensor] = field(default_factory=list)
    box: list[Tensor] = field(default_factory=list)
    mask_at: list[int] = field(default_factory=list)
    box_at: list[int] = field(default_factory=list)
    finish: str = ""

    def look_up(self) -> None:
        """End here if somebody has called it off."""
        if not self.finish and self.question.cancelled is not None and self.question.cancelled():
            self.finish = "cancelled"

    def take(self, token: int, chance: float) -> None:
        """Take the next token."""
        self.ids.append(token)
        self.chances.append(chance)
        if self.processor.ended(self.ids) or self._stop() is not None:
            self.finish = "stop"
        elif len(self.ids) >= self.question.max_tokens:
            self.finish = "length"

    def points(self) -> list[Tensor] | None:
        """Where the state of the last token belongs if it points: the masks' states or the boxes'."""
        special = self.processor.special
        if not self.ids or self.ids[-1] not in (special.get("seg"), special.get("box")):
            return None
        mask = self.ids[-1] == special.get("seg")
        (self.mask_at if mask else self.box_at).append(len(self.processor.decode(self.ids[:-1])))
        return self.seg if mask else self.box

    def text(self) -> str:
        """The text so far, without what a later token could still take back."""
        stop = self._stop()
        text = self.processor.decode(self.ids)[:stop]
        if self.finish:
            return text
        text = text[: text.rindex("\ufffd")] if text.endswith("\ufffd") else text
        begun = [k for end in self._stops for k in range(1, len(end)) if text.endswith(end[:k])]
        return text[: len(text) - max(begun, default=0)]

    @property
    def _stops(self) -> tuple[str, ...]:
        return (*self.question.stop, *self.processor.stop_texts)

    def _stop(self) -> int | None:
        """Where the first of the question's stop texts begins."""
        if not self.question.stop:
            return None
        text = self.processor.decode(self.ids)
        return min((place for stop in self.question.stop if (place := text.find(stop)) >= 0), default=None)


@torch.inference_mode()
def write(model: VLM, drafts: Sequence[Draft], reading: Reading) -> Iterator[None]:
    """Write all drafts step by step, one token each; rows that have ended leave the batch as soon as half of it has.

    A mask or box is made of the state of its token or, where the decoder was trained so, of the one that predicted it.
    """
    language, own = model.language_model, not predicted(model)
    rows, past, mask, trunk = list(drafts), reading.past, reading.mask, reading.trunk
    state, position = reading.hidden[:, -1], reading.positions[:, -1:]
    while True:
        tokens, pointing = _step(rows, state, language.logits(state).float(), own)
        if all(draft.finish for draft in rows) and not pointing:
            yield
            return
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        position = position + 1
        hidden, past = language.read(language.embed(tokens[:, None]), mask, position, past, trunk)
        state = hidden[:, -1]
        for row, states in pointing:
            states.append(state[row])
        yield
        going = [row for row, draft in enumerate(rows) if not draft.finish]
        if not going:
            return
        if 2 * len(going) <= len(rows):
            index = torch.tensor(going, device=state.device)
            rows = [rows[row] for row in going]
            trunk = trunk.rows(going) if trunk is not None else None
            state, position, mask, past = state[index], position[index], mask[index], past.rows(index)


def _step(
    rows: Sequence[Draft], state: Tensor, logits: Tensor, own: bool
) -> tuple[Tensor, list[tuple[int, list[Tensor]]]]:
    """Let every row take a token; return the tokens, and for each that points its row and where its own state belongs."""
    for draft in rows:
        draft.look_up()
    tokens, chances = choose(logits, rows)
    pointing = []
    for row, (draft, token, chance) in enumerate(zip(rows, tokens.tolist(), chances, strict=True)):
        if draft.finish:
            continue
        draft.take(token, chance)
        states = draft.points()
        if states is not None and own:
            pointing.append((row, states))
        elif states is not None:
            states.append(state[row])
    return tokens, pointing


def choose(logits: Tensor, drafts: Sequence[Draft]) -> tuple[Tensor, list[float]]:
    """The next token of each row from logits `[rows, vocabulary]`, and the chance that the model itself gave it.

    A guide that allows nothing ends its answer.
    """
    chances = logits.softmax(dim=-1)
    for row, draft in enumerate(drafts):
        allowed = None if draft.finish or draft.question.guide is None else draft.question.guide.allowed(draft.ids)
        if allowed is None:
            continue
        if not allowed.any():
            draft.finish = "stop"
        width = min(len(allowed), logits.shape[1])
        logits[row, :width] = logits[row, :width].masked_fill(~allowed[:width].to(logits.device), -torch.inf)
        logits[row, width:] = -torch.inf
    tokens = logits.argmax(dim=-1)
    for row, draft in enumerate(drafts):
        if draft.question.temperature > 0 and not draft.finish:
            tokens[row] = _draw(logits[row], draft)
    return tokens, chances.gather(1, tokens[:, None])[:, 0].tolist()


def _draw(logits: Tensor, draft: Draft) -> int:
    """A token drawn at the question's temperature from the smallest set over its `top_p`."""
    if draft.generator is None:
        draft.generator = torch.Generator().manual_seed(draft.question.seed)
    chances, order = (logits / draft.question.temperature).softmax(dim=-1).cpu().sort(descending=True)
    chances = torch.where(chances.cumsum(dim=0) - chances < draft.question.top_p, chances, 0)
    return int(order[torch.multinomial(chances, 1, generator=draft.generator)])


def predicted(model: VLM) -> bool:
    """Masks are made of the state that predicted their token; several of an answer are one mask (SegVol)."""
    segmentation = model.config.segmentation
    return segmentation is not None and segmentation.predicted
