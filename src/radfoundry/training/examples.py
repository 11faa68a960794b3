"""A corpus's samples as training examples: studies with their images looked at once and all their conversations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radfoundry.corpus import Corpus
from radfoundry.errors import UsageError
from radfoundry.model import Encoded, Processor, VLMConfig
from radfoundry.model.conversations import pointing_answer, to_model_turns
from radfoundry.model.kept import Kept
from radfoundry.model.looking import Look, can_look, look_at
from radfoundry.records import Region, Sample

__all__ = ["StudyExample", "StudyExamples"]

_KEPT_BYTES = 2 << 30  # views and label maps held in memory


@dataclass(frozen=True)
class StudyExample:
    """Images that are encoded once, and the conversations about them; all share the prefix before their first words."""

    looks: tuple[Look, ...]
    conversations: tuple[Encoded, ...]


class StudyExamples:
    """The studies of one split of some corpora in a fixed order; `example` draws some conversations of one of them.

    Ids follow from content, so a study that lies in several corpora is one study with the samples of all. tasks: these alone; all
    if empty. Samples about images that the model cannot look at (pictures, volumes) are left out.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        processor: Processor,
        config: VLMConfig,
        split: str,
        tasks: Collection[str] = (),
    ) -> None:
        self._processor, self._config = processor, config
        self._home: dict[str, Corpus] = {i.image_id: c for c in corpora for i in c.rows("images")}
        self._regions: dict[str, tuple[Corpus, Region]] = {
            r.region_id: (c, r) for c in corpora for r in c.rows("regions")
        }
        self._looks: Kept[Look] = Kept(_KEPT_BYTES // 2)
        self._labels: Kept[npt.NDArray[np.integer]] = Kept(_KEPT_BYTES // 2)
        seen = {i.image_id for c in corpora for i in c.rows("images") if can_look(len(i.shape), config)}
        groups: dict[tuple[str, ...], list[Sample]] = defaultdict(list)
        for corpus in corpora:
            for sample in corpus.samples(split=split):
                if (not tasks or sample.task in tasks) and seen.issuperset(sample.image_ids):
                    groups[_prefix_key(sample)].append(sample)
        self.groups = [groups[key] for key in sorted(groups)]
        if not self.groups:
            raise UsageError(
                f"no samples in the {split} split",
                "no study has any, or none with images that the model can look at",
                "radfoundry build first",
            )

    def __len__(self) -> int:
        return len(self.groups)

    def example(self, number: int, questions: int, rng: np.random.Generator) -> StudyExample:
        """Return study `number` with up to `questions` of its samples, tasks taking turns so that rare ones are seen."""
        samples = _take_turns(self.groups[number], questions, rng)
        looks = tuple(self._look(image_id) for image_id in samples[0].image_ids)
        return StudyExample(looks, tuple(self._encode(sample, looks) for sample in samples))

    def _encode(self, sample: Sample, looks: Sequence[Look]) -> Encoded:
        given = {part.ref: self._mask(part.ref) for t in sample.turns for part in t.parts if part.kind == "region"}
        turns = to_model_turns(sample.turns, sample.image_ids, looks, given)
        mask = self._mask(sample.region_ids[0]) if sample.answer_kind == "mask" else None
        box = sample.boxes[0] if sample.answer_kind == "box" else None
        turns[-1] = pointing_answer(turns[-1], sample.answer_kind, looks[0], mask, box)
        return self._processor.encode(turns, [look.shape for look in looks])

    def _look(self, image_id: str) -> Look:
        def read() -> Look:
            pixels, row = self._home[image_id].image(image_id)
            return look_at(pixels, row.grid, row.modality, self._config)

        return self._looks.get(image_id, read, lambda look: look.pixels.nbytes)

    def _mask(self, region_id: str) -> npt.NDArray[np.bool_]:
        corpus, region = self._regions[region_id]
        labels = self._labels.get(
            (region.image_id, region.label_set),
            lambda: corpus.labelmap(region.image_id, region.label_set),
            lambda array: array.nbytes,
        )
        return labels == region.label_value


def _prefix_key(sample: Sample) -> tuple[str, ...]:
    """Images that lead the first turn are the shared prefix; a sample that speaks before it shows stands alone."""
    leading = []
    for part in sample.turns[0].parts:
        if part.kind != "image":
            break
        leading.append(part.ref)
    return (*sample.image_ids, "interleaved" if tuple(leading) != sample.image_ids else "")


def _take_turns(samples: Sequence[Sample], count: int, rng: np.random.Generator) -> list[Sample]:
    by_task: dict[str, list[Sample]] = defaultdict(list)
    for place in rng.permutation(len(samples)):
        by_task[samples[place].task].append(samples[place])
    tasks = [by_task[task] for task in sorted(by_task)]
    order = [tasks[k] for k in rng.permutation(len(tasks))]
    return list(_round_robin(order))[:count]


def _round_robin(lists: Sequence[list[Sample]]) -> Iterator[Sample]:
    for turn in range(max(map(len, lists))):
        for one in lists:
            if turn < len(one):
                yield one[turn]
