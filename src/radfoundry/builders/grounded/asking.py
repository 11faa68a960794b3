"""What the question kinds share: values for wordings, answers, the choices beside a right one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from radfoundry.builders.grounded.nodes import Nodes, drawn
from radfoundry.builders.grounded.statements import Told
from radfoundry.builders.samples import SampleMaker
from radfoundry.corpus import balance_rule
from radfoundry.language import concepts
from radfoundry.records import Sample

__all__ = ["YES_NO", "Asker", "is_disorder", "with_article"]

YES_NO = ("yes", "no")
# choices of one question, the right one among them
CHOICES = 4


@dataclass(frozen=True)
class Asker:
    """Makes the samples of one study's report."""

    maker: SampleMaker
    told: Told
    nodes: Nodes

    @property
    def key(self) -> str:
        """What every draw of this study depends on."""
        return self.told.rows.study.study_id

    def ask(
        self,
        task: str,
        form: str,
        values: dict[str, str],
        evidence: Sequence[str],
        region_ids: Sequence[str] = (),
    ) -> Sample:
        """Return an open question about all images of the study."""
        return self.maker.ask(task, form, self.told.image_ids, values, evidence, region_ids=region_ids)

    def closed(
        self,
        task: str,
        form: str,
        values: dict[str, str],
        yes: bool,
        evidence: Sequence[str],
        region_ids: Sequence[str] = (),
        *,
        about: str,
        source: str = "stated",
    ) -> Sample:
        """Return a yes-or-no question, which a corpus gives as often with yes as with no for each `about`.

        source: "stated", or "silent" where the answer rests on what a whole report leaves out.
        """
        answer = "yes" if yes else "no"
        rule = balance_rule(f"{task} of {about}", answer, source)
        maker = replace(self.maker, made_by=replace(self.maker.made_by, by=rule))
        values = values | {"answer": answer.capitalize()}
        return maker.ask(
            task, form, self.told.image_ids, values, evidence,
            answer_kind="closed", choices=YES_NO, region_ids=region_ids,
        )  # fmt: skip

    def choice(
        self,
        task: str,
        form: str,
        values: dict[str, str],
        right: str,
        wrong: Sequence[str],
        evidence: Sequence[str],
        region_ids: Sequence[str] = (),
    ) -> list[Sample]:
        """Return a question with the right answer among a few others, in an order that tells nothing; none without any other."""
        others = [w for w in dict.fromkeys(wrong) if w != right][: CHOICES - 1]
        if not others:
            return []
        choices = drawn([right, *others], f"{self.key}|{task}|{form}|{right}")
        return [
            self.maker.ask(
                task, form, self.told.image_ids, values | {"answer": right}, evidence,
                answer_kind="choice", choices=choices, region_ids=region_ids,
            )
        ]  # fmt: skip


def is_disorder(concept: str) -> bool:
    """Say whether a concept is something wrong, not a variant, a device or an operation."""
    return concept not in concepts() or concepts()[concept].kind in ("abnormality", "appearance")


# things that are counted; conditions and substances take no article
_COUNTED = (
    "nodule", "mass", "lesion", "cyst", "fracture", "hernia", "cavity", "bulla", "stone", "node", "granuloma", "diverticulum",
    "metastasis", "catheter", "tube", "stent", "pacemaker", "valve", "prosthesis", "clip", "suture", "hemangioma", "goiter",
    "abscess", "contusion", "remnant", "spleen",
)  # fmt: skip


def with_article(concept: str) -> str:
    """Return "a nodule" and "an adrenal lesion", but "pleural effusion"."""
    if not concept.endswith(_COUNTED):
        return concept
    return f"{'an' if concept[:1] in 'aeiou' else 'a'} {concept}"
