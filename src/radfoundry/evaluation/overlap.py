"""What training and test share: pictures, patients, questions. A score on questions about known pictures is no score on new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radfoundry.evaluation.tasks import Item

__all__ = ["Overlap", "disjoint_training", "overlap_of"]


@dataclass(frozen=True)
class Overlap:
    """Counts over the test set: pictures, patients and questions that are in training too, and the questions that this touches."""

    images: int
    all_images: int
    patients: int
    all_patients: int
    same_questions: int
    touched: int
    questions: int

    @property
    def any(self) -> bool:
        """Whether anything at all is shared."""
        return bool(self.images or self.patients or self.same_questions)

    def __str__(self) -> str:
        return (
            f"{self.images} of {self.all_images} test pictures and {self.patients} of {self.all_patients} test patients are in training "
            f"too ({self.touched} of {self.questions} questions; {self.same_questions} of them word for word about the same picture)"
        )


def overlap_of(training: Sequence[Item], test: Sequence[Item]) -> Overlap:
    """Return what a test set shares with a training set."""
    known_images = frozenset().union(*(i.images for i in training))
    known_patients = {i.patient for i in training}
    known_questions = {key for i in training for key in _questions(i)}
    images = {key for i in test for key in i.image_keys}
    shared = {key for i in test for key in i.image_keys if _is_known(i, key, known_images)}
    patients = {i.patient for i in test}
    touched = [i for i in test if i.images & known_images or i.patient in known_patients]
    return Overlap(
        len(shared), len(images), len(patients & known_patients), len(patients),
        sum(any(key in known_questions for key in _questions(i)) for i in test), len(touched), len(test),
    )  # fmt: skip


def disjoint_training(training: Sequence[Item], test: Sequence[Item]) -> list[Item]:
    """Return the training questions that share no picture and no patient with any test question: the test set stays as it is."""
    images = frozenset().union(*(i.images for i in test))
    patients = {i.patient for i in test}
    return [i for i in training if not (i.images & images) and i.patient not in patients]


def _is_known(item: Item, key: str, known: frozenset[str]) -> bool:
    """By its name, or, of the only picture of a question, by its pixels."""
    return key in known or (len(item.image_keys) == 1 and bool(item.images & known))


def _questions(item: Item) -> list[tuple[str, str]]:
    words = " ".join(item.question.turns[-1].text.lower().split()) if item.question.turns else ""
    return [(image, words) for image in item.image_keys]
