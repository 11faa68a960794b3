"""Asking: a study is encoded once, what its questions share is read once, and they are answered together.

An `Answerer` is the one owner of caches, bounded by studies and by bytes. What it offers::

    study = answerer.open(views, key)            tensors `[channel, z, y, x]`, or `Look`s, which know the way back
    answerer.ask(study, questions)               [Answer]: each as if it were asked alone
    answerer.locate(study, questions, "mask")    [Answer]: the answer is one pointer, no text is written
    answerer.run([(study, question), ...])       (number, piece of text) as it is written, (number, Answer) at its end;
                                                 any studies together; leave the loop, and the work ends
    answerer.stream(study, question)             pieces of text; the generator returns the Answer
    answerer.forget(key)
    study.masks_back(answer), study.boxes_back(answer)     on the canonical grid of the image that was looked at

A `Question` holds a turn of parts (texts, `ImagePart`s where images stand, `RegionPart`s: mask, box or name), the turns before it, choices,
limits, a guide that may hold the answer to a grammar, and a callable that calls it off. A prior examination is more
images and words about them. Nothing is learned here and nothing is random but what a question's own seed draws.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radfoundry.errors import UsageError
from radfoundry.model.attention import Trunk
from radfoundry.model.language_model import Past
from radfoundry.model.looking import Look
from radfoundry.model.opened import Study
from radfoundry.model.processor import Encoded, Processor, Turn
from radfoundry.model.questions import Answer, Guide, Question, pick, with_images
from radfoundry.model.vlm import VLM, Seen
from radfoundry.model.writing import Draft, Reading, predicted, write

__all__ = ["Answer", "Answerer", "Guide", "Question", "Study"]

_PREFIXES = 4  # of one study: with its images in front, and a few conversations that begin otherwise


@dataclass(frozen=True)
class _Row:
    """A conversation about a study: what it shares with others was read before, its branch was not."""

    study: Study
    branch: Encoded
    past: Past | None
    length: int
    """Tokens of both."""


class Answerer:
    """Answers questions about studies with one model; keeps the last `studies` opened ones, and no more than `cache_bytes`.

    rows and batch_tokens: the most rows, and tokens with their shared beginnings, that are worked on at once.
    """

    def __init__(
        self,
        model: VLM,
        processor: Processor,
        studies: int = 4,
        rows: int = 64,
        *,
        cache_bytes: int = 4 << 30,
        batch_tokens: int = 1 << 16,
    ) -> None:
        self.model, self.processor = model.eval(), processor
        self.studies, self.rows = studies, rows
        self.cache_bytes, self.batch_tokens = cache_bytes, batch_tokens
        self._open: OrderedDict[Hashable, Study] = OrderedDict()
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype

    def open(
        self,
        images: Sequence[Tensor | Look] | Callable[[], Sequence[Tensor | Look]],
        key: Hashable | None = None,
    ) -> Study:
        """Encode a study's views; with a `key`, a study opened before is taken from the cache.

        `images` may be a function, so that a cached study's pixels are not read again.
        """
        if key is not None and key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        study = self._encode(list(images() if callable(images) else images))
        if key is not None:
            self._open[key] = study
            self._trim()
        return study

    def forget(self, key: Hashable) -> None:
        """Let an opened study go; nothing happens where there is none."""
        self._open.pop(key, None)

    @property
    def cached_bytes(self) -> int:
        """Memory of the opened studies."""
        return sum(study.nbytes for study in self._open.values())

    def _trim(self) -> None:
        """Let the studies go that were asked about longest ago; the last one stays."""
        while len(self._open) > 1 and (len(self._open) > self.studies or self.cached_bytes > self.cache_bytes):
            self._open.popitem(last=False)

    @torch.inference_mode()
    def _encode(self, images: list[Tensor | Look]) -> Study:
        looks = tuple(image if isinstance(image, Look) else None for image in images)
        views = [image.pixels if isinstance(image, Look) else image for image in images]
        study = Study(self.model.see([view.to(self.device, self.dtype) for view in views]), looks)
        if views:
            self._row(study, (Turn("user", [""]),), open_answer=True)  # what most conversations begin with
        return study

    def ask(self, study: Study, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions about one study; each is answered as if it were asked alone."""
        answers = {
            number: said for number, said in self.run([(study, q) for q in questions]) if isinstance(said, Answer)
        }
        return [answers[number] for number in range(len(questions))]

    def stream(self, study: Study, question: Question) -> Generator[str, None, Answer]:
        """Answer one open question piece by piece; the pieces join to the text of the answer, which is returned."""
        if question.choices:
            raise UsageError("a closed question is not streamed", "its answer is one of its choices", "use ask()")
        for _, said in self.run([(study, question)]):
            if isinstance(said, Answer):
                return said
            yield said
        raise AssertionError("a question without an answer")

    def run(self, asked: Sequence[tuple[Study, Question]]) -> Iterator[tuple[int, str | Answer]]:
        """Answer questions about any studies together, saying (number, piece) as they are written and (number, Answer) at the end.

        Raises:
            UsageError: a question is empty.
        """
        if any(question.empty for _, question in asked):
            raise UsageError("nothing is asked", "the question has no words", "write it")
        closed = [number for number, (_, question) in enumerate(asked) if question.choices]
        groups = [[self._row(study, (*q.turns(), Turn("assistant", [c]))) for c in q.choices]
                  for study, q in (asked[number] for number in closed)]  # fmt: skip
        for batch in self._batches(groups):
            numbers = [closed[place] for place in batch]
            told = self._choose([groups[place] for place in batch], [asked[number][1] for number in numbers])
            yield from zip(numbers, told, strict=True)
        free = [number for number, (_, question) in enumerate(asked) if not question.choices]
        rows = [self._row(study, q.turns(), open_answer=True) for study, q in (asked[number] for number in free)]
        for batch in self._batches([[row] for row in rows]):
            numbers = [free[place] for place in batch]
            for place, said in self._write([rows[p] for p in batch], [asked[number][1] for number in numbers]):
                yield numbers[place], said
        self._trim()

    def _batches(self, groups: Sequence[Sequence[_Row]]) -> Iterator[list[int]]:
        """Cut groups of rows into batches of at most `rows` rows and `batch_tokens` tokens."""
        batch: list[int] = []
        used = longest = 0
        for place, group in enumerate(groups):
            length = max(longest, *(row.length for row in group))
            rows = used + len(group)
            if batch and (rows > self.rows or rows * length > self.batch_tokens):
                yield batch
                batch, rows, length = [], len(group), max(row.length for row in group)
            batch.append(place)
            used, longest = rows, length
        if batch:
            yield batch

    @torch.inference_mode()
    def _row(self, study: Study, turns: Sequence[Turn], open_answer: bool = False) -> _Row:
        """Write a conversation as ids; what it begins with is read now, unless it was before."""
        whole = self.processor.encode(with_images(turns, len(study.shapes)), study.shapes, open_answer)
        start = whole.prefix()
        key = (tuple(start.ids), tuple(start.image_at), tuple(start.extra))
        if key not in study.pasts:
            study.pasts[key] = self._read_start(study, start)
            while len(study.pasts) > _PREFIXES:
                study.pasts.popitem(last=False)
        study.pasts.move_to_end(key)
        return _Row(study, whole.branch(), study.pasts[key], len(whole.ids))

    def _read_start(self, study: Study, start: Encoded) -> Past | None:
        if not start.ids:
            return None
        images = study.seen.volumes
        inputs = self.processor.collate([start], [images]).to(self.device)
        _, past = self.model.language_model.read(self.model.embed(inputs.input_ids, inputs.visual, study.seen))
        return past

    def _read(self, rows: Sequence[_Row]) -> Reading:
        """Read the branches of rows as one left-padded batch behind their pasts."""
        studies = list({id(row.study): row.study for row in rows}.values())
        first = dict(zip(map(id, studies), np.cumsum([0, *(len(s.shapes) for s in studies)]).tolist(), strict=False))
        own = [[first[id(row.study)] + i for i in range(len(row.study.shapes))] for row in rows]
        seen = Seen.join([study.seen for study in studies], self.model.config.extra_tokens)
        inputs = self.processor.collate_shared([row.branch for row in rows], seen.volumes, own, left=True)
        inputs = inputs.to(self.device)
        if inputs.regions is not None:
            seen = replace(seen, table=torch.cat([seen.table, self.model.region_tokens(seen, inputs.regions)]))
        before = [[row.past.length if row.past is not None else 0] for row in rows]
        positions = inputs.position_ids + torch.tensor(before, device=self.device)
        trunk = Trunk.of([row.past.layers if row.past is not None else None for row in rows])
        words = self.model.embed(inputs.input_ids, inputs.visual, seen)
        hidden, past = self.model.language_model.read(words, inputs.attention_mask, positions, trunk=trunk)
        return Reading(hidden, past, inputs.attention_mask, positions, trunk)

    def likelihoods(self, study: Study, question: Question) -> NDArray[np.float64]:
        """The log likelihood of every choice of a question, whole and with its end: what retrieval by likelihood compares."""
        turns = [(*question.turns(), Turn("assistant", (choice,))) for choice in question.choices]
        scores, _ = self._score([[self._row(study, turn) for turn in turns]])
        return scores[0].double().cpu().numpy()

    def _choose(self, groups: Sequence[Sequence[_Row]], questions: Sequence[Question]) -> list[Answer]:
        """Answer the likeliest choice of each question."""
        scored = zip(questions, *self._score(groups), strict=True)
        return [pick(question, score, n) for question, score, n in scored]

    @torch.inference_mode()
    def _score(self, groups: Sequence[Sequence[_Row]]) -> tuple[Sequence[Tensor], list[int]]:
        """Score every choice, its end token included; what the choices of a question share is read once. Also tokens read."""
        shared = [_shared([row.branch.ids for row in group]) for group in groups]
        reading = self._read([replace(g[0], branch=g[0].branch.until(n)) for g, n in zip(groups, shared, strict=True)])
        of = [number for number, group in enumerate(groups) for _ in group]
        tails = [
            row.branch.ids[shared[n] :] for n, row in zip(of, (row for group in groups for row in group), strict=True)
        ]
        width = max(map(len, tails))
        ids = torch.tensor([[*tail, *[0] * (width - len(tail))] for tail in tails], device=self.device)
        real = torch.tensor([[1] * len(tail) + [0] * (width - len(tail)) for tail in tails], device=self.device)
        index = torch.tensor(of, device=self.device)
        language, trunk = self.model.language_model, reading.trunk.rows(of) if reading.trunk is not None else None
        hidden, _ = language.read(
            language.embed(ids),
            torch.cat([reading.mask[index], real], dim=1),
            reading.positions[index, -1:] + 1 + torch.arange(width, device=self.device),
            reading.past.rows(index),
            trunk,
        )
        before = torch.cat([reading.hidden[index, -1:], hidden[:, :-1]], dim=1)
        chances = language.logits(before).float().log_softmax(dim=-1).gather(2, ids[..., None])[..., 0]
        scores = torch.split(torch.where(real > 0, chances, 0).sum(dim=1), [len(group) for group in groups])
        read = [row[0].length - len(row[0].branch.ids) + n for row, n in zip(groups, shared, strict=True)]
        return scores, read

    def _write(self, rows: Sequence[_Row], questions: Sequence[Question]) -> Iterator[tuple[int, str | Answer]]:
        """Write open answers together."""
        drafts = [Draft(question, self.processor) for question in questions]
        with torch.inference_mode():
            reading = self._read(rows)
        shown, done = [""] * len(drafts), [False] * len(drafts)
        for _ in write(self.model, drafts, reading):
            for number, draft in enumerate(drafts):
                if done[number]:
                    continue
                text = draft.text()
                if len(text) > len(shown[number]) and text.startswith(shown[number]):
                    yield number, text[len(shown[number]) :]
                    shown[number] = text
                if draft.finish:
                    done[number] = True
                    yield number, self._finish(rows[number], draft)

    @torch.inference_mode()
    def _finish(self, row: _Row, draft: Draft) -> Answer:
        question, study, text = draft.question, row.study, draft.text()
        confidence = float(np.exp(np.mean(np.log(np.maximum(draft.chances, 1e-12))))) if draft.chances else 0.0
        masks: list[NDArray[np.float32]] = []
        boxes: list[NDArray[np.float32]] = []
        if draft.seg:
            prompts = torch.stack(draft.seg)
            prompts = prompts.mean(dim=0, keepdim=True) if predicted(self.model) else prompts
            found = self.model.mask_logits(prompts, self._about(question, len(prompts)), study.seen)
            masks = [logits.float().sigmoid().cpu().numpy() for logits in found]
        if draft.box:
            about = self._about(question, len(draft.box))
            relative, _ = self.model.box_coordinates(torch.stack(draft.box), about, study.seen)
            scale = np.array([*study.shapes[question.image]] * 2, dtype=np.float32)
            boxes = [np.clip(box.float().cpu().numpy(), 0, 1) * scale for box in cast(Tensor, relative)]
        box_at = draft.box_at[: len(boxes)]
        for box in self.processor.boxes_in(text, study.shapes[question.image]) if study.shapes else []:
            boxes.append(box)
            box_at.append(0)
        return Answer(
            text,
            confidence,
            masks=tuple(masks),
            boxes=tuple(boxes),
            image=question.image,
            mask_at=tuple(draft.mask_at[: len(masks)]),
            box_at=tuple(box_at),
            finish=draft.finish or "stop",
            tokens=len(draft.ids),
            prompt_tokens=row.length,
        )

    def _about(self, question: Question, count: int) -> Tensor:
        return torch.full((count,), question.image, device=self.device)

    @torch.inference_mode()
    def locate(self, study: Study, questions: Sequence[Question], kind: str = "mask") -> list[Answer]:
        """Masks or boxes for many questions in one pass: the answer is taken to be one pointer, no text is generated.

        A model without that pointer is asked in words; boxes that its family spells are read from the answer.
        """
        pointer = self.processor.special.get("seg" if kind == "mask" else "box")
        if pointer is None:
            return self.ask(study, questions)
        rows = [self._row(study, question.turns(), open_answer=True) for question in questions]
        answers: list[Answer] = []
        for batch in self._batches([[row] for row in rows]):
            reading = self._read([rows[place] for place in batch])
            token = torch.full((len(batch), 1), pointer, device=self.device)
            chance = self.model.language_model.logits(reading.hidden[:, -1]).float().softmax(dim=-1)[:, pointer]
            mask = torch.cat([reading.mask, reading.mask.new_ones(len(batch), 1)], dim=1)
            embeddings = self.model.language_model.embed(token)
            following = reading.positions[:, -1:] + 1
            own = self.model.language_model(embeddings, mask, following, reading.past, reading.trunk)[:, 0]
            states = reading.hidden[:, -1] if predicted(self.model) else own
            for place, state, sure in zip(batch, states, chance.tolist(), strict=True):
                draft = Draft(questions[place], self.processor, ids=[pointer], chances=[sure], mask_at=[0], box_at=[0])
                (draft.seg if kind == "mask" else draft.box).append(state)
                answers.append(self._finish(rows[place], draft))
        self._trim()
        return answers


def _shared(choices: Sequence[Sequence[int]]) -> int:
    """How many ids all begin with; each keeps one of its own."""
    least = min(map(len, choices)) - 1
    first = choices[0]
    count = next((n for n in range(least) if any(ids[n] != first[n] for ids in choices)), least)
    if count < 1:
        raise UsageError("nothing is asked", "the choices stand alone", "write the question")
    return count
