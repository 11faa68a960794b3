"""Published scorers, faults included, by the name of the benchmark; only for comparison with published figures.

Each stands beside the native score of the same answers. RadBench released no scorer: its rows are what the paper describes, with the
findings of our own lexicon in the place of UMLS entities, and their names say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from radfoundry.evaluation.reading import statements
from radfoundry.evaluation.runlog import Record
from radfoundry.evaluation.scorers.scorer import Scorer, answer_of, letter_of
from radfoundry.metrics import EntityOverlap, MeanSentenceBleu, Rouge, parse_closed
from radfoundry.metrics.published import Published, llava_med, m3d, medevalkit, vila_m3

__all__ = ["COMPAT"]

_Function = Callable[..., float]


def _published(name: str, function: _Function, missing: float | None = 0.0, **more: Any) -> Scorer:
    return Scorer(name, partial(Published, name, function, missing), **more)


def _yes_no(record: Record) -> bool:
    return parse_closed(record.reference) is not None


def _letter(record: Record) -> tuple[str | None, str]:
    return answer_of(record), letter_of(record)


def _words_only(record: Record) -> tuple[str | None, str]:
    """An empty answer stops M3D's program (division by zero); here it is left out and counted."""
    said = answer_of(record)
    return (said if said and said.strip() else None), record.reference


def _m3d_box(record: Record) -> tuple[m3d.Box | None, m3d.Box]:
    true = _as_m3d(record.reference_boxes[0], record.shape)
    return (_as_m3d(record.boxes[0], record.shape) if record.boxes else None), true


def _as_m3d(box: Sequence[int], shape: Sequence[int]) -> m3d.Box:
    """A half-open box as M3D writes it: inclusive corners over the axis lengths, three decimals."""
    half = len(shape)
    corners = [*box[:half], *(stop - 1 for stop in box[half:])]
    return tuple(round(corner / size, 3) for corner, size in zip(corners, [*shape, *shape], strict=True))


def _m3d_dice(said: Sequence[int], true: Sequence[int]) -> float:
    """M3D's soft Dice where every probability is 0 or 1: smoothing below only, an empty truth is 0."""
    return 2 * said[2] / (said[0] + said[1] + 1)


def _counts(record: Record) -> tuple[Any, Any]:
    return record.overlap, record.overlap


def _entities(record: Record) -> tuple[Any, Any]:
    said = answer_of(record)
    return (None if said is None else _concepts(said)), _concepts(record.reference)


def _concepts(text: str) -> set[str]:
    return {one.concept for one in statements(text)}


_LLAVA: Mapping[str, Sequence[Scorer]] = {
    "open": (
        _published("llava_med_recall", llava_med.open_recall, None),
        _published("vila_m3_equal", vila_m3.equal_text),
    ),
    "closed": (
        _published("llava_med_substring", llava_med.substring_hit, None),
        _published("medevalkit_yes_no", medevalkit.yes_no_is_right, takes=_yes_no),
        _published("vila_m3_equal", vila_m3.equal_text),
    ),
}
_M3D: Mapping[str, Sequence[Scorer]] = {
    "choice": (_published("m3d_letter", m3d.closed_is_right, pair=_letter),),
    "open": (
        _published("m3d_bleu1", m3d.bleu1, None, pair=_words_only),
        _published("m3d_rouge1", m3d.rouge1),
    ),
    "box": (
        _published(
            "m3d_iou", m3d.box_iou, -1.0, pair=_m3d_box, takes=lambda r: bool(r.reference_boxes) and bool(r.shape)
        ),
    ),
    "mask": (_published("m3d_soft_dice", _m3d_dice, 0.0, pair=_counts),),
}
_RADBENCH: Mapping[str, Sequence[Scorer]] = {
    "open": (
        Scorer("paper_bleu1", partial(MeanSentenceBleu, 1)),
        Scorer("paper_rouge1", partial(Rouge, "1")),
        Scorer("paper_entity_precision", lambda: EntityOverlap("precision", matcher_name="finding lexicon"), _entities),
        Scorer("paper_entity_recall", lambda: EntityOverlap("recall", matcher_name="finding lexicon"), _entities),
    ),
    "closed": (_published("equal_text", vila_m3.equal_text),),
}

COMPAT: Mapping[str, Mapping[str, Sequence[Scorer]]] = {
    "": {},
    "llava-med": _LLAVA,
    "m3d": _M3D,
    "radbench": _RADBENCH,
}
"""Benchmark -> kind of answer -> its published scorers."""
