"""The samples of a corpus as an export needs them: with their images' rows, and the licence of everything that they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from radfoundry.corpus import combined
from radfoundry.records import Image, Sample

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus

__all__ = ["Shown", "ShownSamples", "shown_samples"]


class Shown(NamedTuple):
    """A sample, the rows of its images in order, and all licences that it stands under at once."""

    sample: Sample
    images: tuple[Image, ...]
    licence: str


@dataclass(frozen=True)
class ShownSamples:
    """Samples of one image beside each other, so that each image is read once; and how many were left out, by reason."""

    samples: Sequence[Shown]
    left_out: dict[str, int]


def shown_samples(corpus: Corpus, samples: Iterable[Sample]) -> ShownSamples:
    """Return the samples whose images are all in the corpus; one that shows an image of a study left out is not."""
    licence_of = {row.study_id: row.licence for row in corpus.rows("studies")}
    images = {(row.image_id, row.study_id): row for row in corpus.rows("images")}
    by_id = {image_id: row for (image_id, _), row in images.items()}
    shown, lost = [], 0
    for sample in sorted(samples, key=lambda s: (s.image_ids, s.sample_id)):
        if not all(image_id in by_id for image_id in sample.image_ids):
            lost += 1
            continue
        rows = tuple(images.get((image_id, sample.study_id), by_id[image_id]) for image_id in sample.image_ids)
        licence = combined([sample.licence, *(licence_of[row.study_id] for row in rows)])
        shown.append(Shown(sample, rows, licence))
    return ShownSamples(shown, {"left out: image of a study left out": lost} if lost else {})
