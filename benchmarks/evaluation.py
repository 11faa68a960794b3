"""How fast scores are made, each beside the fastest library at hand on the same inputs: JSON lines to standard output.

python benchmarks/evaluation.py [--answers 10000] [--pairs 1000]
Bars: 10,000 answers by all offline text metrics in 30 s; 1,000 organ-sized masks (up to 5 % of 32x256x256) with overlap
and surface distances in 60 s. Intervals are included; making the inputs is not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import sacrebleu
import surface_distance
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer

from radfoundry.evaluation.reading import grounded, labels, statements
from radfoundry.language import label_set
from radfoundry.metrics import (
    Bleu,
    Cider,
    ClosedAccuracy,
    ExactMatch,
    GridMask,
    HallucinatedPlace,
    LabelF1,
    ListMatch,
    MeanSentenceBleu,
    Meteor,
    Metric,
    RightRegion,
    RightSide,
    Rouge,
    SegmentationScores,
    SizeWithin,
    StatementF1,
    TokenOverlap,
)
from radfoundry.metrics.surface import Surface
from radfoundry.metrics.tokens import mt_tokens

TEXT_BAR_S, MASK_BAR_S = 30.0, 60.0
SPACING_MM = (5.0, 0.8, 0.8)
TOLERANCE_MM = 2.0


class TextPair(NamedTuple):
    said: str
    true: str
    patient: str


class MaskPair(NamedTuple):
    said: np.ndarray
    true: np.ndarray
    patient: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=1_000)
    arguments = parser.parse_args()
    bench_text(arguments.answers)
    for surface in ("voxel", "surfel"):
        bench_masks(arguments.pairs, surface)


def bench_text(answers: int) -> None:
    pairs = [*text_pairs(answers)]
    metrics: list[Metric[str, str]] = [
        *(Bleu(order) for order in (1, 2, 3, 4)),
        MeanSentenceBleu(1),
        *(Rouge(kind, stems=stems) for kind in ("1", "2", "L") for stems in (False, True)),
        Meteor(),
        Cider(),
        *(TokenOverlap(part) for part in ("precision", "recall", "f1")),
        ExactMatch(),
        ListMatch(),
        ClosedAccuracy(),
        SizeWithin(),
    ]
    ours, theirs, scores = Spent(), Spent(), {}
    for metric in metrics:
        with ours, Spent() as spent:
            scores[metric.name] = run_text(metric, pairs)
        emit(bench="text metric", metric=metric.name, answers=answers, **spent.fields())
    with theirs:
        peer = text_by_libraries(pairs)
    emit(
        bench="text metrics", metrics=len(metrics), answers=answers, **ours.fields(), bar_s=TEXT_BAR_S,
        ok=ours.wall_s < TEXT_BAR_S, peer="sacrebleu, rouge-score, nltk", peer_metrics=len(peer),
        **theirs.fields("peer_"), largest_difference=max(abs(scores[name] - value) for name, value in peer.items()),
        intervals="1,000 draws of patients, ours only",
    )  # fmt: skip
    bench_facts(pairs, ours)


def bench_facts(pairs: list[TextPair], strings: Spent) -> None:
    """What reports say, by the language rules: no library to stand beside it. `strings` is what the metrics above took."""
    facts = Spent()
    for metric, read in fact_metrics():
        with facts, Spent() as spent:
            run_facts(metric, read, pairs)
        emit(bench="text metric", metric=metric.name, answers=len(pairs), **spent.fields())
    both = strings.wall_s + facts.wall_s
    emit(
        bench="all text metrics", answers=len(pairs), seconds=round(both, 2),
        cpu_seconds=round(strings.cpu_s + facts.cpu_s, 2), bar_s=TEXT_BAR_S, ok=both < TEXT_BAR_S, **facts.fields("facts_"),
    )  # fmt: skip


def run_text(metric: Metric[str, str], pairs: list[TextPair]) -> float:
    for pair in pairs:
        metric.update(pair.said, pair.true, patient=pair.patient)
    return metric.result().value or 0.0


def fact_metrics() -> list[tuple[Metric[Any, Any], Callable[[str], Any]]]:
    """The metrics of what a report says, each with the rules that read it; texts are read once for all of them."""
    names = [label.name for label in label_set("ct-rate")]
    return [
        (StatementF1("f1"), statements),
        (StatementF1("f1", sides=True), statements),
        (LabelF1(names), lambda text: labels(text, "ct-rate")),
        (RightRegion(), grounded),
        (RightSide(), grounded),
        (HallucinatedPlace(), grounded),
    ]


def run_facts(metric: Metric[Any, Any], read: Callable[[str], Any], pairs: list[TextPair]) -> float:
    for pair in pairs:
        metric.update(read(pair.said), read(pair.true), patient=pair.patient)
    return metric.result().value or 0.0


def text_by_libraries(pairs: list[TextPair]) -> dict[str, float]:
    """The scores that libraries have, by our names: BLEU-4, the six ROUGE, METEOR without synonyms."""
    said, true = [pair.said for pair in pairs], [pair.true for pair in pairs]
    bleu = sacrebleu.metrics.BLEU(smooth_method="none").corpus_score(said, [true]).score / 100
    scores = {Bleu(4).name: bleu}
    for stems in (False, True):
        scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stems)
        found = [scorer.score(b, a) for a, b in zip(said, true, strict=True)]
        for kind in ("1", "2", "L"):
            scores[Rouge(kind, stems=stems).name] = float(np.mean([one[f"rouge{kind}"].fmeasure for one in found]))
    meteor = [
        single_meteor_score(mt_tokens(b), mt_tokens(a), wordnet=NoSynonyms(), alpha=0.9, beta=3.0, gamma=0.5)
        for a, b in zip(said, true, strict=True)
    ]
    return scores | {Meteor().name: float(np.mean(meteor))}


class NoSynonyms:
    """Stands in for WordNet, so that nltk's METEOR matches words and stems only, as ours does."""

    def synsets(self, *_: object, **__: object) -> list[object]:
        return []


def bench_masks(pairs: int, surface: Surface) -> None:
    scores = SegmentationScores(surface, TOLERANCE_MM)
    ours, theirs, peer, voxels = Spent(), Spent(), [], []
    for pair in mask_pairs(pairs):
        with ours:
            scores.update(pair.said, GridMask(pair.true, SPACING_MM), patient=pair.patient)
        with theirs:
            peer.append(masks_by_library(pair))
        voxels.append(int(pair.true.sum()))
    with ours:
        scores.results()
    emit(
        bench="mask metrics", surface=surface, pairs=pairs, largest_voxels=max(voxels), mean_voxels=int(np.mean(voxels)),
        **ours.fields(), bar_s=MASK_BAR_S, ok=ours.wall_s < MASK_BAR_S, peer="surface-distance (surfels)",
        **theirs.fields("peer_"), largest_difference=largest_difference(scores, peer) if surface == "surfel" else None,
    )  # fmt: skip


def largest_difference(scores: SegmentationScores, peer: list[tuple[float, float, float]]) -> float:
    by_name = {metric.name.split()[0]: metric.per_sample() for metric in scores.metrics()}
    return float(np.abs(np.array([by_name[name] for name in ("Dice", "HD95", "NSD")], float).T - peer).max())


def masks_by_library(pair: MaskPair) -> tuple[float, float, float]:
    """Dice, HD95 and NSD by DeepMind's package; it makes the two average distances as well, as we make the ASSD."""
    measured = surface_distance.compute_surface_distances(pair.true, pair.said, SPACING_MM)
    surface_distance.compute_average_surface_distance(measured)
    return (
        surface_distance.compute_dice_coefficient(pair.true, pair.said),
        surface_distance.compute_robust_hausdorff(measured, 95),
        surface_distance.compute_surface_dice_at_tolerance(measured, TOLERANCE_MM),
    )


def text_pairs(n: int) -> Iterator[TextPair]:
    """Answers of one word to reports of 120, a third of the words changed, three to a patient; sentences of about twelve words."""
    rng = random.Random(0)
    words = [f"{head}{tail}" for head in ("nodul", "effus", "lung", "calcif", "card", "hep") for tail in VOCABULARY]
    for at in range(n):
        true = [rng.choice(words) for _ in range(rng.choice((1, 3, 12, 40, 120)))]
        said = [word if rng.random() < 2 / 3 else rng.choice(words) for word in true]
        yield TextPair(sentences(said), sentences(true), f"p{at // 3}")


def sentences(words: list[str]) -> str:
    """Words as sentences of twelve, each of them about something that a report speaks of."""
    return " ".join(
        " ".join([*words[start : start + 12], FACTS[len(words[start]) % len(FACTS)] if len(words) > 3 else ""]).strip()
        + "."
        for start in range(0, len(words), 12)
    )


VOCABULARY = ("e", "es", "ion", "ions", "ed", "ing", "al", "ally", "ation", "omegaly", "ic", " of", ", no", " 3.5 mm")
FACTS = (
    "with a 5 mm nodule in the left lower lobe", "no pleural effusion", "the heart is enlarged", "emphysema in the right lung",
    "mild cardiomegaly without pericardial effusion",
)  # fmt: skip


def mask_pairs(n: int) -> Iterator[MaskPair]:
    """Ellipsoids of 0.1 to 5 % of the volume, the answer moved and swollen a little."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[:32, :256, :256]
    for at in range(n):
        share = rng.uniform(0.001, 0.05)
        flat = rng.uniform(5, 12)
        wide = np.sqrt(share * 32 * 256 * 256 / (4 / 3 * np.pi * flat))
        centre = np.array([16, 128, 128]) + rng.uniform(-1, 1, 3) * (3, 60, 60)
        stretch = rng.uniform(0.8, 1.25)
        radii = np.array([flat, wide * stretch, wide / stretch])
        moved, swollen = centre + rng.normal(0, (0.5, 2, 2)), radii * rng.uniform(0.9, 1.1, 3)
        true, said = (
            ((z - c[0]) / r[0]) ** 2 + ((y - c[1]) / r[1]) ** 2 + ((x - c[2]) / r[2]) ** 2 < 1
            for c, r in ((centre, radii), (moved, swollen))
        )
        yield MaskPair(said, true, f"p{at // 4}")


class Spent:
    """Wall and processor seconds inside `with`, added up; on a shared machine only the second compares."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0

    def __enter__(self) -> Spent:
        self.began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s += time.perf_counter() - self.began[0]
        self.cpu_s += time.process_time() - self.began[1]

    def fields(self, prefix: str = "") -> dict[str, float]:
        return {f"{prefix}seconds": round(self.wall_s, 2), f"{prefix}cpu_seconds": round(self.cpu_s, 2)}


def emit(**fields: object) -> None:
    load = round(os.getloadavg()[0], 1)
    print(
        json.dumps({**fields, "load": load, "cores": os.cpu_count(), "python": platform.python_version()}), flush=True
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Please import")  # surface-distance calls an old scipy name
    main()
