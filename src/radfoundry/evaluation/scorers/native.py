"""The scores that are right, by kind of answer; the first of each kind is the one to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from radfoundry.evaluation.reading import grounded, labels, statements
from radfoundry.evaluation.runlog import Record
from radfoundry.evaluation.scorers.scorer import Scorer, answer_of, letter_of
from radfoundry.language import label_set
from radfoundry.metrics import (
    ASSD,
    HD95,
    NSD,
    BalancedAccuracy,
    Bleu,
    BoxAccuracy,
    BoxGIoU,
    BoxIoU,
    Choice,
    ChoiceAccuracy,
    Cider,
    ClosedAccuracy,
    Dice,
    ExactMatch,
    ExpectedCalibrationError,
    HallucinatedPlace,
    LabelF1,
    ListMatch,
    MaskIoU,
    Meteor,
    Overlap,
    RightRegion,
    RightSide,
    Rouge,
    SizeError,
    SizeWithin,
    StatementF1,
    TokenOverlap,
    parse_choice,
    parse_closed,
    parse_size_mm,
)

__all__ = ["NSD_TOLERANCE_MM", "REPORTS", "native_scorers", "parse_answer"]

REPORTS = frozenset({"report", "region-report", "summary", "description", "rationale", "caption"})
"""Tasks whose answers are sentences about findings and places."""

NSD_TOLERANCE_MM = 2.0
_RADIOGRAPHS = ("CR", "DX", "XR", "RG")


def native_scorers(record: Record) -> Sequence[Scorer]:
    """Return the scorers of a record's kind of answer and task."""
    if record.answer_kind != "open":
        return _BY_KIND[record.answer_kind]
    if record.task == "size":
        return (*_SIZE, *_TEXT)
    return (*_REPORT, *_TEXT, *_LONG_TEXT) if record.task in REPORTS else _TEXT


def parse_answer(record: Record) -> str | None:
    """Return what was read out of an answer, None where nothing could be: the label, the choice, the size, the words."""
    if record.error:
        return None
    if record.answer_kind == "closed":
        return parse_closed(record.answer)
    if record.answer_kind == "choice":
        return parse_choice(record.answer, record.choices)
    if record.answer_kind == "box":
        return str(record.boxes[0]) if record.boxes else None
    if record.answer_kind == "mask":
        return f"{record.overlap[0]} voxels" if record.overlap else None
    size = parse_size_mm(record.answer) if record.task == "size" else None
    return f"{size:g} mm" if size is not None else record.answer


def _choice(record: Record) -> tuple[str | None, Choice]:
    return answer_of(record), Choice(letter_of(record), tuple(record.choices))


def _yes_no(record: Record) -> bool:
    return parse_closed(record.reference) is not None


def _closed(record: Record) -> tuple[str | None, str | None]:
    return answer_of(record), parse_closed(record.reference)


def _is_sure(record: Record) -> tuple[float | None, bool]:
    """The confidence in the answer that was given, and whether that was right."""
    return record.confidence, parse_closed(record.answer) == parse_closed(record.reference)


def _boxes(record: Record) -> tuple[Any, Any]:
    """An answer without a box says that there is nothing to box; no answer at all is missing."""
    said = None if record.error else (record.boxes[0] if record.boxes else ())
    return said, (record.reference_boxes[0] if record.reference_boxes else ())


def _keep_overlap(metric: Dice, record: Record) -> None:
    if record.overlap is None:
        metric.counts["missing"] += 1
        metric.keep((0.0, 1.0), record.patient)
        return
    metric.keep((metric.score_of(Overlap(*record.overlap)), 1.0), record.patient)


def _keep_surface(name: str, metric: Any, record: Record) -> None:
    if record.overlap is None:
        metric.counts["missing"] += 1
    metric.keep(metric.weigh(record.surface.get(name)), record.patient)


def _has_surface(record: Record) -> bool:
    return bool(record.surface)


def _statements(record: Record) -> tuple[Any, Any]:
    said = answer_of(record)
    return (None if said is None else statements(said)), statements(record.reference)


def _grounded(record: Record) -> tuple[Any, Any]:
    said = answer_of(record)
    return (None if said is None else grounded(said)), grounded(record.reference)


def _labelled(name: str, record: Record) -> tuple[Any, Any]:
    said = answer_of(record)
    return (None if said is None else labels(said, name)), labels(record.reference, name)


def _label_names(name: str) -> list[str]:
    return [label.name for label in label_set(name)]


_TEXT = (
    Scorer("exact_match", ExactMatch),
    Scorer("list_match", ListMatch),
    Scorer("token_f1", lambda: TokenOverlap("f1")),
    Scorer("token_precision", lambda: TokenOverlap("precision")),
    Scorer("token_recall", lambda: TokenOverlap("recall")),
    Scorer("bleu1", partial(Bleu, 1)),
    Scorer("rouge1", lambda: Rouge("1", stems=True)),
    Scorer("rougeL", lambda: Rouge("L", stems=True)),
    Scorer("meteor", Meteor),
)
# pairs of words and more: where answers are sentences
_LONG_TEXT = (
    *(Scorer(f"bleu{order}", partial(Bleu, order)) for order in (2, 3, 4)),
    Scorer("rouge2", lambda: Rouge("2", stems=True)),
    Scorer("cider", Cider),
)
_SIZE = (Scorer("within_25_percent", SizeWithin), Scorer("error_mm", SizeError))
_REPORT = (
    Scorer("finding_f1", lambda: StatementF1("f1"), _statements),
    Scorer("finding_precision", lambda: StatementF1("precision"), _statements),
    Scorer("finding_recall", lambda: StatementF1("recall"), _statements),
    Scorer("finding_side_f1", lambda: StatementF1("f1", sides=True), _statements),
    Scorer(
        "labels_ct18_f1", lambda: LabelF1(_label_names("ct-rate")), partial(_labelled, "ct-rate"),
        takes=lambda record: record.modality == "CT",
    ),
    Scorer(
        "labels_xray14_f1", lambda: LabelF1(_label_names("nih")), partial(_labelled, "nih"),
        takes=lambda record: record.modality in _RADIOGRAPHS,
    ),
    Scorer("right_region", RightRegion, _grounded),
    Scorer("right_side", RightSide, _grounded),
    Scorer("hallucinated_places", HallucinatedPlace, _grounded),
)  # fmt: skip
_BY_KIND: dict[str, Sequence[Scorer]] = {
    "closed": (
        Scorer("balanced_accuracy", lambda: BalancedAccuracy(parse_closed), _closed, takes=_yes_no),
        Scorer("accuracy", ClosedAccuracy),
        Scorer("ece", ExpectedCalibrationError, _is_sure, takes=_yes_no),
    ),
    "choice": (Scorer("accuracy", ChoiceAccuracy, _choice),),
    "box": (
        Scorer("iou", BoxIoU, _boxes),
        Scorer("giou", BoxGIoU, _boxes),
        Scorer("acc_at_0.25", lambda: BoxAccuracy(0.25), _boxes),
        Scorer("acc_at_0.5", lambda: BoxAccuracy(0.5), _boxes),
    ),
    "mask": (
        Scorer("dice", Dice, keep=_keep_overlap),
        Scorer("mask_iou", MaskIoU, keep=_keep_overlap),
        Scorer("nsd_2mm", lambda: NSD(tolerance_mm=NSD_TOLERANCE_MM), keep=partial(_keep_surface, "nsd_2mm"), takes=_has_surface),
        Scorer("hd95_mm", HD95, keep=partial(_keep_surface, "hd95_mm"), takes=_has_surface),
        Scorer("assd_mm", ASSD, keep=partial(_keep_surface, "assd_mm"), takes=_has_surface),
    ),
}  # fmt: skip
