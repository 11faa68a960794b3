"""Questions about a phantom and their true answers; the test split is asked in wordings of its own (`questions.tsv`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from radfoundry.phantom.dice import Dice
from radfoundry.phantom.study import Phantom
from radfoundry.phantom.tissues import PHASES
from radfoundry.phantom.truth import TruthFinding
from radfoundry.phantom.wording import read_table

__all__ = ["PhantomQuestion", "questions_about"]


@dataclass(frozen=True)
class PhantomQuestion:
    """A question and its answer.

    task, answer_kind: as in records.TASKS and ANSWER_KINDS; label_values: the samples of `Phantom.labels` that are the answer's mask
    or box, or, for "reg", that are given with the question; choices: of a choice.
    """

    task: str
    text: str
    answer: str
    answer_kind: str
    label_values: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()


def questions_about(phantom: Phantom) -> list[PhantomQuestion]:
    """Return the questions of a study: as many that are answered yes as no, where it has findings."""
    return [*_findings(phantom, _Asker(phantom)), *_organs(phantom, _Asker(phantom, "organs"))]


class _Asker:
    """Words a question, the same way for the same study."""

    def __init__(self, phantom: Phantom, what: str = "findings") -> None:
        self.dice = Dice("questions", what, phantom.key)
        self.split = "test" if phantom.split == "test" else "train"

    def word(self, task: str, *, about: str = "", concept: str = "", region: str = "") -> str:
        wording = self.dice.pick(_wordings()[task, about, self.split])
        return wording.format(concept=concept, region=region)


@cache
def _wordings() -> dict[tuple[str, str, str], tuple[str, ...]]:
    grouped: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for row in read_table("questions.tsv"):
        key = (row["task"], row["about"], row["split"])
        grouped[key] = (*grouped.get(key, ()), row["text"])
    return grouped


def _findings(phantom: Phantom, ask: _Asker) -> Iterator[PhantomQuestion]:
    present = [f for f in phantom.truth if f.presence == "present"]
    names = sorted({f.concept for f in present})
    absent = ask.dice.shuffled([f.concept for f in phantom.truth if f.presence == "absent"])[: max(2, len(names))]
    for answer, concepts in (("yes", names), ("no", absent)):
        for concept in concepts:
            yield PhantomQuestion(
                "presence", ask.word("presence", concept=concept), answer, "closed", (), ("yes", "no")
            )
    yield PhantomQuestion("abnormality", ask.word("abnormality"), ", ".join(names) or "no findings", "open")
    yield PhantomQuestion("phase", ask.word("phase"), phantom.phase, "choice", (), PHASES)
    for finding in present:
        # two of a kind in one region cannot be told apart by words
        if [(f.concept, f.region) for f in present].count((finding.concept, finding.region)) == 1:
            yield from _finding(phantom, ask, finding, alone=[f.concept for f in present].count(finding.concept) == 1)


def _finding(phantom: Phantom, ask: _Asker, finding: TruthFinding, *, alone: bool) -> Iterator[PhantomQuestion]:
    concept, region, label = finding.concept, finding.region, finding.label_value
    if alone:
        where = f"{finding.side} {region}" if region == "pleura" else region
        yield PhantomQuestion("location", ask.word("location", concept=concept), where, "open")
    if finding.size_mm is not None:
        text = ask.word("size", concept=concept, region=region)
        yield PhantomQuestion("size", text, f"{round(finding.size_mm)} mm", "open")
    if label is not None and phantom.label_names[label] == concept:
        text = ask.word("refer-segment", concept=concept, region=region)
        yield PhantomQuestion("refer-segment", text, "", "mask", (label,))
        yield PhantomQuestion("reg", ask.word("reg"), f"{concept} in the {region}", "open", (label,))


def _organs(phantom: Phantom, ask: _Asker) -> Iterator[PhantomQuestion]:
    there = {int(v) for v in set(phantom.labels.ravel().tolist())} & set(phantom.label_names)
    organs = {name: value for value, name in phantom.label_names.items() if value in there and value < 100}
    for name in ask.dice.shuffled(list(organs))[:4]:
        yield PhantomQuestion("segment", ask.word("segment", region=name), "", "mask", (organs[name],))
        yield PhantomQuestion("rec", ask.word("rec", region=name), "", "box", (organs[name],))
    reasons = sorted({about for task, about, _ in _wordings() if task == "reason-segment" and about in organs})
    for name in ask.dice.shuffled(reasons)[:1]:
        text = ask.word("reason-segment", about=name)
        yield PhantomQuestion("reason-segment", text, name, "mask", (organs[name],))
