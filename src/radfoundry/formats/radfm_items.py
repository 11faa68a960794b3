"""RadFM's dataset classes: how a row of its tables becomes a question, an answer and places for the images, faults included.

Every class is a function of a row and of `Draws`. Offsets count characters: "front" is 0, "end" the length of the question. The
faults are kept because published weights and test sets rest on them; each is named where it is. Wordings are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

__all__ = [
    "Draws", "Item", "MedPixSingle", "Placed", "RandomDraws", "binary", "case_report", "chest_xray", "medpix_multi", "medpix_qa",
    "paper_inline", "pmc_oa", "radio_caption", "radio_features", "radio_modality", "radio_vqa", "visual_question",
]  # fmt: skip

Row = Mapping[str, Any]
Known = Callable[[str], bool]

_PIECES = 5  # of a case's context; more are cut
_WINDOW, _BEFORE = 50, 10  # sentences of a paper, and those before the image that it is drawn around
_PAPER_IMAGES, _MOST_IMAGES = 3, 10
_SIZES = re.compile(r"\d+(?:\.\d+)?\s*[mc]m|\d+x\d+\s*cm")


class Draws(Protocol):
    """Where chance comes from: `random` in [0, 1), `choice` an index below `count`, `randint` in [0, `most`], `sample` indices."""

    def random(self) -> float: ...
    def choice(self, count: int) -> int: ...
    def randint(self, most: int) -> int: ...
    def sample(self, count: int, size: int) -> Sequence[int]: ...


@dataclass(frozen=True)
class RandomDraws:
    """Draws of a seeded generator."""

    rng: np.random.Generator

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return float(self.rng.random())

    def choice(self, count: int) -> int:
        """Return an index below `count`."""
        return int(self.rng.integers(count))

    def randint(self, most: int) -> int:
        """Return a number in [0, most]."""
        return int(self.rng.integers(most + 1))

    def sample(self, count: int, size: int) -> Sequence[int]:
        """Return `size` different indices below `count`."""
        return [int(i) for i in self.rng.permutation(count)[:size]]


@dataclass(frozen=True)
class Placed:
    """An image and where it stands: so many characters into the question or the answer."""

    image: str
    text: Literal["question", "answer"]
    offset: int


@dataclass(frozen=True)
class Item:
    """What a dataset class gives for one row."""

    question: str
    answer: str
    placed: tuple[Placed, ...]


def _everything(_: str) -> bool:
    return True


def _front_or_end(question: str, at_end: bool) -> int:
    return len(question) if at_end else 0


def _one(question: str, answer: str, image: str, offset: int) -> Item:
    return Item(question, answer, (Placed(image, "question", offset),))


def binary(row: Row, draws: Draws, prompts: Sequence[str]) -> Item:
    """Is a disease there? Every "disease" in the prompt becomes its name; the image stands at the end."""
    question = prompts[draws.choice(len(prompts))].replace("disease", row["disease"])
    return _one(question, "yes" if row["label"] else "no", row["image_path"], len(question))


def chest_xray(row: Row, draws: Draws, prompts: Sequence[str]) -> Item:
    """A label list or a report; the image at the end. Fault: a picture that cannot be read is replaced by noise."""
    question = prompts[draws.choice(len(prompts))]
    return _one(question, row["label"], row["image_path"], len(question))


def pmc_oa(row: Row, draws: Draws, prompts: Sequence[str]) -> Item:
    """A figure's caption."""
    question = prompts[draws.choice(len(prompts))]
    return _one(question, row["Caption"], row["Figure_path"], _front_or_end(question, draws.random() >= 0.5))


def visual_question(row: Row, draws: Draws) -> Item:
    """A question of PMC-VQA, VQA-RAD or SLAKE."""
    question = row["Question"]
    return _one(question, row["Answer"], row["Figure_path"], _front_or_end(question, draws.random() >= 0.5))


def case_report(row: Row, draws: Draws, refs: Iterable[str], known: Known = _everything) -> Item:
    """A question about a case. Faults: the context is cut at every full stop, "3.5" too; "Q:" and "A:" vanish anywhere."""
    pieces = row["context"].split(".")
    context = row["context"]
    if len(pieces) > _PIECES:
        context = pieces[0] + ". " + ". ".join(pieces[-4:])
    question = context + "\n" + row["question"].replace("Q:", "")
    placed = []
    for ref in refs:
        name = f"{row['PMC_id']}_{ref}.jpg"
        if known(name):
            placed.append(Placed(name, "question", len(question if draws.random() > 0.5 else context)))
    return Item(question, row["answer"].replace("A:", ""), tuple(placed))


def paper_inline(sentences: Sequence[Row], draws: Draws, known: Known = _everything) -> Item:
    """Text of a paper with up to three images, each before the sentence that shows it; texts are joined without anything between."""
    around_image = draws.random() < 0.5
    start = _window_start(sentences, draws, around_image) if len(sentences) > _WINDOW else 0
    answer = ""
    placed: list[Placed] = []
    for sentence in sentences[start : start + _WINDOW]:
        refs = sentence["img_ref"]
        if len(placed) + len(refs) > _PAPER_IMAGES:
            break
        placed += [Placed(ref, "answer", len(answer)) for ref in refs if known(ref)]
        answer += sentence["text"]
    return Item("", answer, tuple(placed))


def _window_start(sentences: Sequence[Row], draws: Draws, around_image: bool) -> int:
    last = len(sentences) - _WINDOW
    showing = [i for i, sentence in enumerate(sentences) if sentence["img_ref"]]
    if not around_image or not showing:
        return draws.randint(last)
    return min(max(showing[draws.randint(len(showing) - 1)] - _BEFORE, 0), last)


@dataclass
class MedPixSingle:
    """Caption, modality or plane of one picture.

    prompts: of each type; yes_no: of modality and plane, with "{object}"; values: what modality and plane can be. Fault: the right
    value of a "no" question leaves the shared list for good.
    """

    prompts: Mapping[str, Sequence[str]]
    yes_no: Mapping[str, Sequence[str]]
    values: dict[str, list[str]]
    known: Known = field(default=_everything)

    def __call__(self, row: Row, draws: Draws) -> Item:
        """Return the item of a row."""
        kind, right = row["type"], row["context"]
        if kind == "caption" or draws.random() > 0.5:
            question, answer = self._prompt(self.prompts[kind], draws), right
        else:
            wording = self._prompt(self.yes_no[kind], draws)
            answer = "yes" if draws.random() > 0.5 else "no"
            question = wording.format(object=right if answer == "yes" else self._wrong(kind, right, draws))
        offset = _front_or_end(question, draws.random() > 0.5)
        return _one(question, answer, row["name"], offset) if self.known(row["name"]) else Item(question, answer, ())

    def _prompt(self, prompts: Sequence[str], draws: Draws) -> str:
        return prompts[draws.sample(len(prompts), 1)[0]]

    def _wrong(self, kind: str, right: str, draws: Draws) -> str:
        candidates = self.values[kind]
        if right in candidates:
            candidates.remove(right)
        return candidates[draws.sample(len(candidates), 1)[0]]


def medpix_multi(row: Row, draws: Draws, prompts: Sequence[str]) -> Item:
    """One of seven types about a case's pictures. Faults: sizes cut out of findings leave "2 x " and double blanks."""
    question = prompts[draws.sample(len(prompts), 1)[0]]
    if draws.random() > 0.5 and isinstance(row["history"], str):
        question = f"{row['history']} {question}"
    offset = _front_or_end(question, draws.random() > 0.5)
    names = row["name"].split(",")
    if len(names) > _MOST_IMAGES:
        names = [names[i] for i in draws.sample(len(names), _MOST_IMAGES)]
    answer = row["context"].replace("• ", "")
    if row["type"] == "findings":
        answer = _SIZES.sub("", answer)
    return Item(question, answer, tuple(Placed(name, "question", offset) for name in names))


def medpix_qa(row: Row, draws: Draws) -> Item:
    """An examination question with its explanation."""
    told = [text for text in (row["answer"], row["explanation"]) if isinstance(text, str)]
    return _one(row["question"], ". ".join(told), row["name"], _front_or_end(row["question"], draws.random() > 0.5))


def radio_modality(
    row: Row, draws: Draws, direct: Sequence[str], yes_no: Sequence[str], modalities: Sequence[str]
) -> Item:
    """The modality of a volume. Fault: "no" is the answer to a question about the right modality; the wrong one is drawn unused."""
    right = row["answer"]
    if draws.random() < 0.5:
        question, answer = direct[draws.choice(len(direct))], right
    else:
        answer = "yes" if draws.random() < 0.5 else "no"
        if answer == "no":
            _other(right, modalities, draws)
        question = yes_no[draws.choice(len(yes_no))].replace("modality", right)
    return _one(question, answer, row["image_path"], _front_or_end(question, draws.random() >= 0.5))


def _other(right: str, values: Sequence[str], draws: Draws) -> str:
    while (drawn := values[draws.choice(len(values))]) == right:
        pass
    return drawn


def _series(question: str, answer: str, series: int, draws: Draws) -> Item:
    """Fault: of more than ten series ten are drawn, and all stay."""
    offsets = [_front_or_end(question, draws.random() >= 0.5) for _ in range(series)]
    if series > _MOST_IMAGES:
        draws.sample(series, _MOST_IMAGES)
    return Item(question, answer, tuple(Placed(str(n), "question", offset) for n, offset in enumerate(offsets)))


def radio_vqa(row: Row, draws: Draws, series: int) -> Item:
    """A question about a study of so many series, each at the front or at the end."""
    return _series(row["question"], row["answer"], series, draws)


def _asked(row: Row, prompt: str) -> str:
    return f"{row['pat']} {row['pre']} {prompt}"


def radio_caption(row: Row, draws: Draws, prompts: Sequence[str], series: int) -> Item:
    """Findings and impression of a study. Fault: nothing stands between the two."""
    question = _asked(row, prompts[draws.choice(len(prompts))])
    return _series(question, f"Finding: {row['finding']}Impression: {row['impression']}", series, draws)


def radio_features(
    row: Row,
    draws: Draws,
    captions: Sequence[str],
    yes_no: Sequence[str],
    titles: Sequence[str],
    series: int,
    *,
    between: str,
) -> Item:
    """An article and its radiographic features, with `between` between the two; or yes and no about its title."""
    if draws.random() < 0.5:
        question = _asked(row, captions[draws.choice(len(captions))])
        answer = " ".join(row["articles"]) + between + " ".join(row["radiographic_features"])
        return _series(question, answer, series, draws)
    answer = "yes" if draws.random() < 0.5 else "no"
    asked = row["title"] if answer == "yes" else _other(row["title"], titles, draws)
    question = yes_no[draws.choice(len(yes_no))].replace("disease", asked)
    return _series(question, answer, series, draws)
