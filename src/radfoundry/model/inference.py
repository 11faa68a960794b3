"""Asking: a study is encoded once, its prefix read once, and questions are batched over both.

An `Answerer` is the one owner of caches. `open` encodes a study's images and reads the prefix (begin token, role, image
tokens); `ask` runs any number of questions as branches over the cached keys and values. Masks and boxes come out on the
view that the model saw; mapping them to a source grid is the caller's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model.language_model import Past
from radfoundry.model.processor import Encoded, ImagePart, Processor, Turn
from radfoundry.model.questions import Answer, Question, pick
from radfoundry.model.vlm import VLM, ModelInputs, Seen

__all__ = ["Answer", "Answerer", "Question", "Study"]


@dataclass
class Study:
    """An opened study: its images' features and the keys and values of its prefix (None where a family has none)."""

    images: list[Tensor]
    seen: Seen
    past: Past | None

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """The views' shapes `[z, y, x]`."""
        return self.seen.shapes


@dataclass
class _Branches:
    """Questions as one left-padded batch over a study's past."""

    encoded: list[Encoded]
    inputs: ModelInputs
    seen: Seen
    mask: Tensor
    positions: Tensor


class Answerer:
    """Answers questions about studies with one model; keeps the last `studies` opened ones."""

    def __init__(self, model: VLM, processor: Processor, studies: int = 4, rows: int = 64) -> None:
        self.model, self.processor = model.eval(), processor
        self.studies, self.rows = studies, rows
        self._open: OrderedDict[Hashable, Study] = OrderedDict()
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype

    def open(self, images: Sequence[Tensor] | Callable[[], Sequence[Tensor]], key: Hashable | None = None) -> Study:
        """Encode a study's views `[channel, z, y, x]`; with a `key`, a study opened before is taken from the cache.

        `images` may be a function, so that a cached study's pixels are not read again.
        """
        if key is not None and key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        study = self._encode(list(images() if callable(images) else images))
        if key is not None:
            self._open[key] = study
            while len(self._open) > self.studies:
                self._open.popitem(last=False)
        return study

    @torch.inference_mode()
    def _encode(self, images: list[Tensor]) -> Study:
        images = [image.to(self.device, self.dtype) for image in images]
        shapes = [(image.shape[1], image.shape[2], image.shape[3]) for image in images]
        turns = [Turn("user", [ImagePart(i) for i in range(len(images))])]
        prefix = self.processor.encode(turns, shapes).prefix()
        inputs = self.processor.collate([prefix], [images]).to(self.device)
        seen = self.model.see(images)
        if not prefix.ids:
            return Study(images, seen, None)
        embeddings = self.model.embed(inputs.input_ids, inputs.visual, seen)
        _, past = self.model.language_model.read(embeddings)
        return Study(images, seen, past)

    def ask(self, study: Study, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions about one study, batched; each is answered as if it were asked alone."""
        answers: dict[int, Answer] = {}
        closed = [i for i, question in enumerate(questions) if question.choices]
        for batch in self._chunks(closed, lambda i: len(questions[i].choices)):
            answers.update(zip(batch, self._choose(study, [questions[i] for i in batch]), strict=True))
        rest = [i for i, question in enumerate(questions) if not question.choices]
        for batch in self._chunks(rest, lambda _: 1):
            answers.update(zip(batch, self._generate(study, [questions[i] for i in batch]), strict=True))
        return [answers[i] for i in range(len(questions))]

    def _chunks(self, items: list[int], rows: Callable[[int], int]) -> Iterator[list[int]]:
        """Cut into batches of at most `self.rows` rows."""
        batch: list[int] = []
        used = 0
        for item in items:
            if batch and used + rows(item) > self.rows:
                yield batch
                batch, used = [], 0
            batch.append(item)
            used += rows(item)
        if batch:
            yield batch

    def _branches(self, study: Study, conversations: list[list[Turn]], open_answer: bool) -> _Branches:
        """Write conversations as branches behind the study's prefix."""
        leading = [ImagePart(i) for i in range(len(study.images))]
        encoded = []
        for turns in conversations:
            first = Turn("user", [*leading, *turns[0].parts])
            encoded.append(self.processor.encode([first, *turns[1:]], study.shapes, open_answer).branch())
        own = [list(range(len(study.images)))] * len(encoded)
        inputs = self.processor.collate_shared(encoded, study.images, own, left=True).to(self.device)
        seen = study.seen
        if inputs.regions is not None:
            given = self.model.region_tokens(seen, inputs.regions)
            seen = replace(seen, table=torch.cat([seen.table, given]))
        before = study.past.length if study.past is not None else 0
        prefix = inputs.attention_mask.new_ones(len(encoded), before)
        mask = torch.cat([prefix, inputs.attention_mask], dim=1)
        return _Branches(encoded, inputs, seen, mask, inputs.position_ids + before)

    def _read(self, study: Study, branches: _Branches) -> tuple[Tensor, Past]:
        embeddings = self.model.embed(branches.inputs.input_ids, branches.inputs.visual, branches.seen)
        rows = torch.zeros(len(branches.encoded), dtype=torch.long, device=self.device)
        past = study.past.rows(rows) if study.past is not None else None
        return self.model.language_model.read(embeddings, branches.mask, branches.positions, past)

    @torch.inference_mode()
    def _choose(self, study: Study, questions: list[Question]) -> list[Answer]:
        """Score every choice, its end token included, and answer the likeliest."""
        conversations = [
            [*question.turns(), Turn("assistant", [choice])] for question in questions for choice in question.choices
        ]
        branches = self._branches(study, conversations, open_answer=False)
        hidden, _ = self._read(study, branches)
        last = torch.tensor([len(_answer_ids(sample)) for sample in branches.encoded], device=self.device)
        length = int(last.max())
        chances = self.model.language_model.logits(hidden[:, -length - 1 : -1]).float().log_softmax(dim=-1)
        targets = branches.inputs.labels[:, -length:]
        asked = torch.arange(length, device=self.device)[None] >= length - last[:, None]
        picked = chances.gather(2, targets.clamp_min(0)[..., None])[..., 0]
        scores = torch.where(asked, picked, 0).sum(dim=1)
        groups = torch.split(scores, [len(question.choices) for question in questions])
        return [pick(question, group) for question, group in zip(questions, groups, strict=True)]

    @torch.inference_mode()
    def _generate(self, study: Study, questions: list[Question]) -> list[Answer]:
        """Greedy answers of open questions, with their masks and boxes."""
        drafts = [_Draft() for _ in questions]
        for token, hidden, chance in self._steps(study, questions):
            for row, draft in enumerate(drafts):
                draft.take(int(token[row]), hidden[row], float(chance[row]), self.processor, questions[row].max_tokens)
        return [self._finish(study, question, draft) for question, draft in zip(questions, drafts, strict=True)]

    def stream(self, study: Study, question: Question) -> Iterator[str]:
        """Answer one open question piece by piece; the pieces join to the answer's text."""
        if question.choices:
            raise UsageError("a closed question is not streamed", "its answer is one of its choices", "use ask()")
        ids: list[int] = []
        shown = ""
        with torch.inference_mode():
            for token, _, _ in self._steps(study, [question]):
                ids.append(int(token[0]))
                text = self.processor.decode(ids)
                whole = text[: text.rindex("\ufffd")] if text.endswith("\ufffd") else text
                if len(whole) > len(shown):
                    yield whole[len(shown) :]
                    shown = whole
        text = self.processor.decode(ids)
        if len(text) > len(shown):
            yield text[len(shown) :]

    def _steps(self, study: Study, questions: list[Question]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Greedy steps: the token of each row, the hidden state that a mask or box is made of, and the token's chance.

        That state is the token's own or, where the decoder was trained so, the one that predicted it. A row that has
        ended goes on with padding until all have; its mask lets nothing of that be seen.
        """
        branches = self._branches(study, [list(question.turns()) for question in questions], open_answer=True)
        hidden, past = self._read(study, branches)
        mask, position, state = branches.mask, branches.positions[:, -1:], hidden[:, -1]
        written: list[list[int]] = [[] for _ in questions]
        for _ in range(max(question.max_tokens for question in questions)):
            before = state
            chance, token = self.model.language_model.logits(state).float().softmax(dim=-1).max(dim=-1)
            for ids, number in zip(written, token.tolist(), strict=True):
                if not self.processor.ended(ids):
                    ids.append(number)
            if all(self.processor.ended(ids) for ids in written):
                yield token, state, chance
                return
            mask = torch.cat([mask, mask.new_ones(len(questions), 1)], dim=1)
            position = position + 1
            embeddings = self.model.language_model.embed(token[:, None])
            hidden, past = self.model.language_model.read(embeddings, mask, position, past)
            state = hidden[:, -1]
            yield token, before if self._predicted else state, chance

    @property
    def _predicted(self) -> bool:
        """Masks are made of the state that predicted their token; several of an answer are one mask (SegVol)."""
        segmentation = self.model.config.segmentation
        return segmentation is not None and segmentation.predicted

    def _finish(self, study: Study, question: Question, draft: _Draft) -> Answer:
        text = self.processor.decode(draft.ids)
        confidence = float(np.exp(np.mean(np.log(np.maximum(draft.chances, 1e-12))))) if draft.chances else 0.0
        masks: list[NDArray[np.float32]] = []
        boxes: list[NDArray[np.float32]] = []
        if draft.seg:
            prompts = torch.stack(draft.seg)
            prompts = prompts.mean(dim=0, keepdim=True) if self._predicted else prompts
            image = torch.full((len(prompts),), question.image, device=self.device)
            found = self.model.mask_logits(prompts, image, study.seen)
            masks = [logits.float().sigmoid().cpu().numpy() for logits in found]
        if draft.box:
            image = torch.full((len(draft.box),), question.image, device=self.device)
            relative, _ = self.model.box_coordinates(torch.stack(draft.box), image, study.seen)
            scale = np.array([*study.shapes[question.image]] * 2, dtype=np.float32)
            boxes = [np.clip(box.float().cpu().numpy(), 0, 1) * scale for box in relative]
        boxes += self.processor.boxes_in(text, study.shapes[question.image]) if study.images else []
        return Answer(text, confidence, {}, tuple(masks), tuple(boxes))

    @torch.inference_mode()
    def locate(self, study: Study, questions: Sequence[Question], kind: str = "mask") -> list[Answer]:
        """Masks or boxes for many questions in one pass: the answer is taken to be one pointer, no text is generated."""
        pointer = self.processor.special["seg" if kind == "mask" else "box"]
        answers: list[Answer] = []
        for batch in self._chunks(list(range(len(questions))), lambda _: 1):
            asked = [questions[i] for i in batch]
            branches = self._branches(study, [list(question.turns()) for question in asked], open_answer=True)
            hidden, past = self._read(study, branches)
            token = torch.full((len(asked), 1), pointer, device=self.device)
            chance = self.model.language_model.logits(hidden[:, -1]).float().softmax(dim=-1)[:, pointer]
            mask = torch.cat([branches.mask, branches.mask.new_ones(len(asked), 1)], dim=1)
            embeddings = self.model.language_model.embed(token)
            own = self.model.language_model(embeddings, mask, branches.positions[:, -1:] + 1, past)[:, 0]
            states = hidden[:, -1] if self._predicted else own
            for row, question in enumerate(asked):
                draft = _Draft([pointer], [float(chance[row])])
                (draft.seg if kind == "mask" else draft.box).append(states[row])
                answers.append(self._finish(study, question, draft))
        return answers


@dataclass
class _Draft:
    """One answer while it is being written."""

    ids: list[int] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    seg: list[Tensor] = field(default_factory=list)
    box: list[Tensor] = field(default_factory=list)

    def take(self, token: int, hidden: Tensor, chance: float, processor: Processor, limit: int) -> None:
        """Take the next token, unless the answer has ended."""
        special = processor.special
        if len(self.ids) >= limit or processor.ended(self.ids):
            return
        self.ids.append(token)
        self.chances.append(chance)
        if token == special.get("seg"):
            self.seg.append(hidden)
        elif token == special.get("box"):
            self.box.append(hidden)


def _answer_ids(sample: Encoded) -> list[int]:
    """The ids of the last answer of a branch (earlier answers of a history are labels too)."""
    ids: list[int] = []
    for label in reversed(sample.labels):
        if label == -100:
            break
        ids.append(label)
    return ids
