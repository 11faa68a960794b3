"""What is asked and what is true: a corpus's samples as questions with references."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from radfoundry.corpus import Corpus
from radfoundry.ids import settings_hash
from radfoundry.protocols import Picture, Question
from radfoundry.records import Image, Sample

__all__ = ["Item", "Reference", "Task", "corpus_task"]


@dataclass(frozen=True)
class Reference:
    """What is true: the words, and boxes and a mask on the canonical grid of the first picture."""

    text: str
    boxes: tuple[tuple[int, ...], ...] = ()
    mask: Callable[[], npt.NDArray[np.bool_]] | None = None


@dataclass(frozen=True)
class Item:
    """A question with its reference, and the patient it is about.

    group: the name its scores stand under, the question's task if empty; image_names: what its pictures are called where they come
    from, so that the same picture is known again; absent: why it has no picture though it speaks of one.
    """

    question: Question
    reference: Reference
    patient: str
    group: str = ""
    image_names: tuple[str, ...] = ()
    absent: str = ""

    @property
    def image_keys(self) -> tuple[str, ...]:
        """One name a picture, to count pictures by."""
        return self.image_names or tuple(p.image_id for p in self.question.pictures)

    @property
    def images(self) -> frozenset[str]:
        """What tells its pictures from others: their ids, which follow from the pixels, and their names where they have some."""
        return frozenset((*self.image_names, *(p.image_id for p in self.question.pictures)))


@dataclass(frozen=True)
class Task:
    """Samples + prompt + scorers under a name and a version; the version changes when a score would.

    compat: the set of published scorers that stand beside the native ones (`evaluation/scorers/compat.py`); notes: what a reader of
    its scores must know.
    """

    name: str
    version: str
    items: Sequence[Item]
    compat: str = ""
    notes: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """12 hex digits of everything that is asked and held true; masks count by their boxes."""
        rows = sorted(
            (
                i.question.sample_id, i.patient, i.group, i.reference.text, list(i.reference.boxes), sorted(i.images),
                [(t.role, t.text) for t in i.question.turns], list(i.question.choices), i.question.answer_kind,
            )
            for i in self.items
        )  # fmt: skip
        return settings_hash({"items": rows})

    def without_absent(self) -> Task:
        """Return the questions whose pictures are there: what can be asked of who looks."""
        return replace(self, items=[item for item in self.items if not item.absent])


def corpus_task(corpus: Corpus, split: str = "test", limit: int | None = None, tasks: Collection[str] = ()) -> Task:
    """Return the samples of one split as a task: the last answer of each conversation is asked for.

    tasks: these alone, all if empty; limit: so many samples, drawn evenly over the sorted ids so that every kind keeps its share.
    """
    samples = [s for s in corpus.samples(split=split) if not tasks or s.task in tasks]
    if limit is not None and limit < len(samples):
        samples = [samples[i * len(samples) // limit] for i in range(limit)]
    return Task(f"corpus-{split}", "2", list(_items(corpus, samples)), compat=_COMPAT.get(_kind(corpus), ""))


# corpus kind -> the published scorers of the system it stands for
_COMPAT = {"m3d": "m3d", "instruction": "radbench"}


def _kind(corpus: Corpus) -> str:
    return str(corpus.about.get("pipeline", ""))


def _items(corpus: Corpus, samples: Sequence[Sample]) -> Iterator[Item]:
    patients = {s.study_id: s.patient_id for s in corpus.rows("studies")}
    # one Picture an image: who shares it shares its encoding
    shown = {image.image_id: _picture(corpus, image) for image in corpus.rows("images")}
    for sample in samples:
        if sample.turns and sample.turns[-1].role == "assistant":
            pictures = tuple(shown[image_id] for image_id in sample.image_ids)
            question = _question(corpus, sample, pictures)
            yield Item(question, _reference(corpus, sample), patients[sample.study_id])


def _picture(corpus: Corpus, image: Image) -> Picture:
    return Picture(image.image_id, image.modality, image.grid, partial(_pixels, corpus, image.image_id))


def _pixels(corpus: Corpus, image_id: str) -> npt.NDArray:
    return corpus.image(image_id)[0]


def _question(corpus: Corpus, sample: Sample, pictures: tuple[Picture, ...]) -> Question:
    turns = sample.turns[:-1]
    given = _Masks(corpus, [part.ref for turn in turns for part in turn.parts if part.kind == "region"])
    return Question(
        sample.sample_id, sample.study_id, turns, pictures, sample.answer_kind, sample.choices, sample.task, given
    )


class _Masks(Mapping[str, npt.NDArray[np.bool_]]):
    """The masks of some regions, decoded when they are looked at: who never looks, as the majority, never pays."""

    def __init__(self, corpus: Corpus, region_ids: Sequence[str]) -> None:
        self._corpus, self._ids = corpus, tuple(dict.fromkeys(region_ids))

    def __getitem__(self, region_id: str) -> npt.NDArray[np.bool_]:
        if region_id not in self._ids:
            raise KeyError(region_id)
        return self._corpus.mask(region_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _reference(corpus: Corpus, sample: Sample) -> Reference:
    mask = None
    if sample.answer_kind == "mask" and sample.region_ids:
        mask = partial(corpus.mask, sample.region_ids[0])
    boxes = sample.boxes if sample.answer_kind == "box" else ()
    return Reference(sample.turns[-1].text, tuple(tuple(b) for b in boxes), mask)
