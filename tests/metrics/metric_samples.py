"""Right and wrong samples for every metric, for the tests that all metrics must pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from radfoundry.metrics import (
    ASSD,
    AUC,
    HD95,
    NSD,
    Accuracy,
    BalancedAccuracy,
    BertScore,
    Bleu,
    BoxAccuracy,
    BoxGIoU,
    BoxIoU,
    Brier,
    Choice,
    ChoiceAccuracy,
    Cider,
    ClosedAccuracy,
    CohenKappa,
    Dice,
    EntityOverlap,
    ExactMatch,
    ExpectedCalibrationError,
    FleissKappa,
    GridMask,
    GroundedSentence,
    HallucinatedPlace,
    JudgedErrors,
    JudgeScore,
    LabelF1,
    ListMatch,
    MaskIoU,
    MeanReciprocalRank,
    MeanSentenceBleu,
    Meteor,
    Metric,
    Place,
    RecallAtK,
    RightRegion,
    RightSide,
    Rouge,
    SizeError,
    SizeWithin,
    Statement,
    StatementF1,
    TokenOverlap,
)


class BagEmbedder:
    """A toy embedder: each word is a fixed random direction, so equal words match and others hardly do."""

    name = "toy words"

    def embed(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.array([_direction(word) for word in text.lower().split()]) for text in texts]


def _direction(word: str) -> np.ndarray:
    return np.random.default_rng(list(word.encode())).normal(size=64)


class Samples(NamedTuple):
    """A metric with pairs that deserve the best score and pairs that deserve less."""

    make: Callable[[], Metric[Any, Any]]
    right: list[tuple[Any, Any]]
    wrong: list[tuple[Any, Any]]
    best: float = 1.0


SENTENCES = [
    "no pleural effusion was detected",
    "a 5 mm nodule in the right upper lobe",
    "the heart is of normal size",
    "mild emphysema in both upper lobes",
    "no enlarged lymph nodes in the mediastinum",
    "sliding hiatal hernia at the lower end",
]
TEXTS = [(s, s) for s in SENTENCES]
SHUFFLED = [(said, true) for said, true in zip([*SENTENCES[1:], SENTENCES[0]], SENTENCES, strict=True)]
LABELS = [("yes", "yes"), ("no", "no"), ("yes", "yes"), ("no", "no")]
FLIPPED = [("no", "yes"), ("no", "no"), ("no", "yes"), ("yes", "no")]
SIZES = [("about 12 mm", "12 mm"), ("3 x 2 cm", "30 mm")]
OTHER_SIZES = [("20 mm", "12 mm"), ("3 mm", "30 mm")]
BOXES = [((0, 0, 0, 2, 2, 2), (0, 0, 0, 2, 2, 2)), ((1, 1, 1, 2, 3, 4), (1, 1, 1, 2, 3, 4))]
MOVED = [((5, 5, 5, 7, 7, 7), (0, 0, 0, 2, 2, 2)), ((1, 1, 1, 2, 3, 4), (1, 1, 2, 2, 3, 5))]
CUBE = np.zeros((8, 9, 10), dtype=bool)
CUBE[2:5, 2:6, 2:7] = True
SHIFTED = np.roll(CUBE, 2, axis=2)
FACTS = {Statement("effusion", "absent"), Statement("nodule", "present", "right")}
OTHER_FACTS = {Statement("effusion", "present"), Statement("nodule", "present", "left")}
PLACES = [GroundedSentence(SENTENCES[1], (Place("lung upper lobe", "right", (0, 0, 0, 5, 5, 5)),))]
OTHER_PLACES = [GroundedSentence(SENTENCES[1], (Place("heart", "left", (6, 6, 6, 7, 7, 7)),))]
VERDICT = "[Clinically Significant Errors]: None\n\n[Matched Findings]:\n2. nodule; effusion"
WORSE = "[Clinically Significant Errors]:\n(a) False report: 2. x; y\n\n[Matched Findings]:\n1. nodule"


def _masks(said: np.ndarray, true: np.ndarray) -> list[tuple[Any, Any]]:
    return [(said, true), (said, true)]


def _grids(said: np.ndarray, true: np.ndarray) -> list[tuple[Any, Any]]:
    return [(said, GridMask(true, (3.0, 1.0, 1.0)))] * 2


ALL_METRICS = [
    Samples(ExactMatch, TEXTS, SHUFFLED),
    Samples(ListMatch, TEXTS, SHUFFLED),
    Samples(Accuracy, LABELS, FLIPPED),
    Samples(ClosedAccuracy, LABELS, FLIPPED),
    Samples(
        ChoiceAccuracy,
        [("A", Choice("A", ("liver", "spleen"))), ("spleen", Choice("B", ("liver", "spleen")))],
        [("B", Choice("A", ("liver", "spleen"))), ("kidney", Choice("B", ("liver", "spleen")))],
    ),
    Samples(SizeWithin, SIZES, OTHER_SIZES),
    Samples(SizeError, SIZES, OTHER_SIZES, best=0.0),
    Samples(BalancedAccuracy, LABELS, FLIPPED),
    Samples(AUC, [(0.9, True), (0.1, False)] * 3, [(0.9, True), (0.95, False)] * 3),
    Samples(lambda: Bleu(4), TEXTS, SHUFFLED),
    Samples(lambda: MeanSentenceBleu(1), TEXTS, SHUFFLED),
    Samples(lambda: Rouge("1"), TEXTS, SHUFFLED),
    Samples(lambda: Rouge("2", stems=True), TEXTS, SHUFFLED),
    Samples(lambda: Rouge("L"), TEXTS, SHUFFLED),
    Samples(Meteor, TEXTS, SHUFFLED, best=0.99),
    Samples(Cider, TEXTS, SHUFFLED, best=10.0),
    Samples(lambda: BertScore(BagEmbedder()), TEXTS, SHUFFLED),
    Samples(lambda: TokenOverlap("f1"), TEXTS, SHUFFLED),
    Samples(lambda: TokenOverlap("recall"), TEXTS, SHUFFLED),
    Samples(JudgeScore, [("Score: 100", None)] * 2, [("Score: 40.", None)] * 2),
    Samples(JudgedErrors, [(VERDICT, None)] * 2, [(WORSE, None)] * 2),
    Samples(StatementF1, [(FACTS, FACTS)] * 2, [(OTHER_FACTS, FACTS)] * 2),
    Samples(lambda: StatementF1(sides=True), [(FACTS, FACTS)] * 2, [(OTHER_FACTS, FACTS)] * 2),
    Samples(lambda: LabelF1(["a", "b"]), [({"a"}, {"a"}), ({"b"}, {"b"})], [({"b"}, {"a"}), ({"b"}, {"b"})]),
    Samples(lambda: LabelF1(["a", "b"], "macro"), [({"a"}, {"a"}), ({"b"}, {"b"})], [({"b"}, {"a"}), ({"b"}, {"b"})]),
    Samples(EntityOverlap, [({"liver"}, {"liver"})] * 2, [({"liver", "cyst"}, {"liver"})] * 2),
    Samples(RightRegion, [(PLACES, PLACES)] * 2, [(OTHER_PLACES, PLACES)] * 2),
    Samples(RightSide, [(PLACES, PLACES)] * 2, [(OTHER_PLACES, PLACES)] * 2),
    Samples(HallucinatedPlace, [(PLACES, PLACES)] * 2, [(OTHER_PLACES, PLACES)] * 2, best=0.0),
    Samples(BoxIoU, BOXES, MOVED),
    Samples(BoxGIoU, BOXES, MOVED),
    Samples(BoxAccuracy, BOXES, MOVED),
    Samples(Dice, _masks(CUBE, CUBE), _masks(SHIFTED, CUBE)),
    Samples(MaskIoU, _masks(CUBE, CUBE), _masks(SHIFTED, CUBE)),
    Samples(HD95, _grids(CUBE, CUBE), _grids(SHIFTED, CUBE), best=0.0),
    Samples(lambda: ASSD("surfel"), _grids(CUBE, CUBE), _grids(SHIFTED, CUBE), best=0.0),
    Samples(lambda: NSD(tolerance_mm=0.5), _grids(CUBE, CUBE), _grids(SHIFTED, CUBE)),
    Samples(lambda: RecallAtK(1), [([0.9, 0.1], 0), ([0.1, 0.9], 1)], [([0.1, 0.9], 0), ([0.1, 0.9], 1)]),
    Samples(MeanReciprocalRank, [([0.9, 0.1], 0), ([0.1, 0.9], 1)], [([0.1, 0.9], 0), ([0.1, 0.9], 1)]),
    Samples(lambda: CohenKappa(["yes", "no"]), LABELS, FLIPPED),
    Samples(FleissKappa, [(("a", "a"), None), (("b", "b"), None)], [(("a", "b"), None), (("b", "b"), None)]),
    Samples(ExpectedCalibrationError, [(1.0, True), (0.0, False)], [(1.0, False), (0.9, True)], best=0.0),
    Samples(Brier, [(1.0, True), (0.0, False)], [(1.0, False), (0.9, True)], best=0.0),
]
