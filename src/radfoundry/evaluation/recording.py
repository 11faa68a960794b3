"""From an answer to a line of the run log: measured, read and scored once, so that nothing is needed later but the log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from radfoundry.evaluation.runlog import Record
from radfoundry.evaluation.scorers import parse_answer
from radfoundry.evaluation.scorers.native import NSD_TOLERANCE_MM
from radfoundry.evaluation.scoring import score_record
from radfoundry.evaluation.tasks import Item
from radfoundry.ids import settings_hash
from radfoundry.metrics import ASSD, HD95, NSD, overlap, surface_distances
from radfoundry.protocols import Answer, Question

__all__ = ["record_of"]


def record_of(condition: str, item: Item, asked: Question, answer: Answer, seconds: float, picture: str = "") -> Record:
    """Return the record of an answer.

    asked: the question as it was put, under a control another than the item's; picture: the file on which the answer is drawn. A mask of
    another shape than the true one is an error, not a crash.
    """
    answer = _fitting(item, answer)
    overlapping, surface = _measured(item, answer)
    question, reference = item.question, item.reference
    first = question.pictures[0] if question.pictures else None
    record = Record(
        sample_id=question.sample_id,
        condition=condition,
        patient=item.patient,
        task=question.task,
        answer_kind=question.answer_kind,
        prompt=[{"role": turn.role, "text": turn.text} for turn in question.turns],
        choices=list(question.choices),
        reference=reference.text,
        answer=answer.text,
        confidence=answer.confidence,
        reference_boxes=[list(box) for box in reference.boxes],
        boxes=[list(box.flat) for box in answer.boxes],
        overlap=overlapping,
        seconds=round(answer.seconds or seconds, 6),
        error=answer.error,
        group=item.group,
        modality=first.modality if first else "",
        shape=list(first.grid.shape) if first else [],
        question_hash=_hash(asked),
        sent=getattr(answer, "sent", ""),
        surface=surface,
        tokens=list(getattr(answer, "tokens", ())),
        picture=picture,
    )
    return replace(record, parsed=parse_answer(record), score=score_record(record))


def _fitting(item: Item, answer: Answer) -> Answer:
    if item.reference.mask is None or answer.mask is None:
        return answer
    shape = item.question.pictures[0].grid.shape
    if answer.mask.shape == shape:
        return answer
    return replace(answer, mask=None, error=f"wrong mask shape: {answer.mask.shape}, the picture has {shape}")


def _measured(item: Item, answer: Answer) -> tuple[list[int] | None, dict[str, float | None]]:
    """Voxel counts, and distances in the unit of the grid: mm, or pixels where a picture's size is not known."""
    if item.reference.mask is None:
        return None, {}
    metrics = {"hd95_mm": HD95(), "assd_mm": ASSD(), "nsd_2mm": NSD(tolerance_mm=NSD_TOLERANCE_MM)}
    grid = item.question.pictures[0].grid
    if answer.mask is None:
        diagonal = float(np.linalg.norm(np.multiply(grid.shape, grid.spacing)))
        return None, {name: metric.apart(diagonal) for name, metric in metrics.items()}
    truth = np.asarray(item.reference.mask())
    measured = surface_distances(answer.mask, truth, grid.spacing)
    return list(overlap(answer.mask, truth)), {name: metric.score_of(measured) for name, metric in metrics.items()}


def _hash(asked: Question) -> str:
    turns = [(turn.role, turn.text) for turn in asked.turns]
    pictures = [p.image_id for p in asked.pictures]
    return settings_hash({"turns": turns, "choices": list(asked.choices), "pictures": pictures})
