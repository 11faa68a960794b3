"""PneumoniaMNIST as closed questions: pictures -> corpus -> a model from nothing -> a threshold -> scores on the test split.

python examples/pneumoniamnist.py pneumoniamnist.npz [FOLDER] [SEED ...]

Minutes a seed on two cores. Answers are balanced in training by the training split alone, the threshold is chosen on the validation
split alone; the test split is looked at once, at the end.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import radfoundry
from radfoundry.corpus import Corpus
from radfoundry.evaluation.predictors.local import LocalModel
from radfoundry.evaluation.tasks import corpus_task
from radfoundry.metrics import AUC, BalancedAccuracy
from radfoundry.training.loop import Settings
from radfoundry.training.starting import train_on

SPLITS = {"train": "train", "val": "validation", "test": "test"}
SETTINGS = Settings(
    steps=700, studies_per_step=64, questions_per_study=1, learning_rate=1e-3, weight_decay=0.05, balance=True, augment=1.0,
    save_every=700, evaluate_every=700,
)  # fmt: skip


def write_pictures(npz: Path, folder: Path) -> Path:
    """Write every picture as PNG and the table that `radfoundry build` reads; a label becomes a report of one sentence."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = np.load(npz)
    rows = []
    for short, split in SPLITS.items():
        for number, (picture, label) in enumerate(
            zip(arrays[f"{short}_images"], arrays[f"{short}_labels"][:, 0], strict=True)
        ):
            name = f"{split}-{number:04d}"
            Image.fromarray(picture).save(folder / f"{name}.png")
            report = "Findings: There is pneumonia." if label else "Findings: There is no pneumonia."
            rows.append([f"{name}.png", report, name, split, "DX", "CC BY 4.0"])
    table = folder / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["image", "report", "patient", "split", "modality", "licence"], *rows])
    return table


def chances_of_yes(model: LocalModel, corpus: Corpus, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the model's probability of "yes" for every question of a split, and whether "yes" is right."""
    items = corpus_task(corpus, split, tasks=("presence",)).items
    answers = model.answer([item.question for item in items])
    chance = [a.confidence if a.text.lower() == "yes" else 1 - a.confidence for a in answers]
    return np.array(chance), np.array([item.reference.text.lower() == "yes" for item in items])


def choose_threshold(chance: np.ndarray, truth: np.ndarray) -> float:
    """Return the highest threshold whose balanced accuracy is within one standard error of the best one.

    Training saw ten times more ill than well, so of thresholds that are as good as each other the one that says "ill" least is taken.
    """
    candidates = np.unique(chance)
    ill, well = chance[truth][None] >= candidates[:, None], chance[~truth][None] < candidates[:, None]
    rates = np.stack([ill.mean(axis=1), well.mean(axis=1)])
    balanced = rates.mean(axis=0)
    best = balanced.argmax()
    error = np.sqrt((rates[:, best] * (1 - rates[:, best]) / [truth.sum(), (~truth).sum()]).sum()) / 2
    return float(candidates[balanced >= balanced[best] - error].max())


def score(model: LocalModel, corpus: Corpus) -> dict[str, float]:
    """Return the threshold, and area under the curve and balanced accuracy on the test split."""
    threshold = choose_threshold(*chances_of_yes(model, corpus, "validation"))
    chance, truth = chances_of_yes(model, corpus, "test")
    area, accuracy = AUC(), BalancedAccuracy()
    for number, (one, true) in enumerate(zip(chance, truth, strict=True)):
        area.update(float(one), bool(true), patient=str(number))
        accuracy.update("yes" if one >= threshold else "no", "yes" if true else "no", patient=str(number))
    return {
        "n": len(truth),
        "threshold": threshold,
        "auc": float(area.result().value or 0),
        "balanced_accuracy": float(accuracy.result().value or 0),
    }


def build(npz: Path, folder: Path) -> Corpus:
    """Return the corpus of the pictures; what is built already stays."""
    table = write_pictures(npz, folder / "pictures")
    radfoundry.build("grounded-report", table.parent, folder / "corpus", table=table)
    return Corpus(folder / "corpus")


def train_and_score(corpus: Corpus, run: Path, seed: int) -> dict[str, float]:
    """Train one model from nothing and score it."""
    from dataclasses import replace

    report = train_on([corpus], "nano", run, replace(SETTINGS, seed=seed), tasks=("presence",))
    return {"seed": seed, "seconds": round(report.seconds, 1), **score(LocalModel(run / "last"), corpus)}


def main(npz: Path, folder: Path, seeds: list[int]) -> None:
    """Print a JSON line a seed and one with the means."""
    corpus = build(npz, folder)
    lines = [train_and_score(corpus, folder / f"run-{seed}", seed) for seed in seeds]
    for line in lines:
        print(json.dumps(line))
    print(json.dumps({name: float(np.mean([line[name] for line in lines])) for name in ("auc", "balanced_accuracy")}))


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2] if len(sys.argv) > 2 else "pneumoniamnist"),
        [int(seed) for seed in sys.argv[3:]] or [0, 1, 2],
    )
