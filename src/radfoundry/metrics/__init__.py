"""Scores that can be believed: each metric is update, merge, result, with an interval over patients.

Scorers as published, faults included, are in `radfoundry.metrics.published`.
"""

from radfoundry.metrics.agreement import CohenKappa, FleissKappa
from radfoundry.metrics.answers import find_boxes, parse_box, parse_choice, parse_closed
from radfoundry.metrics.bertscore import BertScore, Embedder
from radfoundry.metrics.bleu import Bleu, MeanSentenceBleu
from radfoundry.metrics.boxes import BoxAccuracy, BoxGIoU, BoxIoU, box_giou, box_iou
from radfoundry.metrics.calibration import Brier, ExpectedCalibrationError
from radfoundry.metrics.cider import Cider
from radfoundry.metrics.classification import (
    AUC,
    Accuracy,
    BalancedAccuracy,
    Choice,
    ChoiceAccuracy,
    ClosedAccuracy,
    ExactMatch,
    ListMatch,
)
from radfoundry.metrics.compare import Difference, paired_difference
from radfoundry.metrics.entities import EntityOverlap, same_surface
from radfoundry.metrics.findings import LabelF1, Statement, StatementF1
from radfoundry.metrics.judged import JudgedErrors, JudgeScore, parse_judge_score, parse_judgement
from radfoundry.metrics.meteor import Meteor
from radfoundry.metrics.metric import Mean, Metric, Ratio, Score
from radfoundry.metrics.overlap import Dice, MaskIoU, Overlap, overlap, overlap_by_label
from radfoundry.metrics.retrieval import MeanReciprocalRank, RecallAtK, recall_ceiling
from radfoundry.metrics.rouge import Rouge
from radfoundry.metrics.segmentation import ASSD, HD95, NSD, GridMask, SegmentationScores
from radfoundry.metrics.sentence_grounding import (
    GroundedSentence,
    HallucinatedPlace,
    Place,
    RightRegion,
    RightSide,
    pair_sentences,
)
from radfoundry.metrics.sizes import SizeError, SizeWithin, parse_size_mm
from radfoundry.metrics.surface import SurfaceDistances, surface_distances
from radfoundry.metrics.token_overlap import TokenOverlap, token_f1
from radfoundry.metrics.tokens import distinct_sentences, normalise_answer

__all__ = [
    # the shape
    "Score", "Metric", "Mean", "Ratio", "Difference", "paired_difference",
    # reading answers
    "parse_closed", "parse_choice", "parse_box", "find_boxes", "normalise_answer", "distinct_sentences",
    # right or wrong
    "ExactMatch", "ListMatch", "Accuracy", "ClosedAccuracy", "ChoiceAccuracy", "Choice", "BalancedAccuracy", "AUC",
    # text
    "Bleu", "MeanSentenceBleu", "Rouge", "Meteor", "Cider", "BertScore", "Embedder", "TokenOverlap", "token_f1",
    "JudgeScore", "JudgedErrors", "parse_judge_score", "parse_judgement",
    # findings and grounding
    "Statement", "StatementF1", "LabelF1", "EntityOverlap", "same_surface",
    "Place", "GroundedSentence", "pair_sentences", "RightRegion", "RightSide", "HallucinatedPlace",
    # boxes and masks
    "box_iou", "box_giou", "BoxIoU", "BoxGIoU", "BoxAccuracy",
    "Overlap", "overlap", "overlap_by_label", "Dice", "MaskIoU",
    "SurfaceDistances", "surface_distances", "GridMask", "HD95", "ASSD", "NSD", "SegmentationScores",
    # sizes, retrieval, agreement, calibration
    "SizeWithin", "SizeError", "parse_size_mm", "RecallAtK", "MeanReciprocalRank", "recall_ceiling", "CohenKappa", "FleissKappa",
    "ExpectedCalibrationError", "Brier",
]  # fmt: skip
