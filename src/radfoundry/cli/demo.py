"""`radfoundry demo`: the whole line on phantoms."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radfoundry.evaluation.running import RunResult


def demo(*, out: Path = Path("demo"), studies: int = 200, seconds: float = 90.0) -> Path:
    """Make synthetic patients, build corpora, train a small model, ask it, score it, and write a page.

    Parameters
    ----------
    out
        The folder for everything.
    studies
        Synthetic patients.
    seconds
        How long to train.
    """
    from radfoundry.cli import console
    from radfoundry.cli.ask import ask
    from radfoundry.cli.bench import bench
    from radfoundry.cli.build import build
    from radfoundry.cli.demo_page import write_demo_page
    from radfoundry.cli.train import train
    from radfoundry.phantom import write_cohort

    began = time.perf_counter()

    def stage(number: int, what: str) -> None:
        console.say(f"\n[{number}/6 at {console.clock(time.perf_counter() - began)}] {what}")

    stage(1, f"{studies} synthetic patients: CT, X-ray, masks, reports")
    table = out / "studies" / "table.csv"
    if not table.exists():
        write_cohort(out / "studies", studies)

    stage(2, "five corpora from the same studies")
    corpora = {}
    for kind in ("grounded-report", "m3d", "description", "instruction", "summary"):
        corpora[kind] = out / kind
        few = kind not in TRAINED
        build(kind, table.parent, corpora[kind], table=table, limit=24 if few else None, workers=0 if few else None)

    stage(3, f"a model of 2 to 3 million parameters, {seconds:.0f} s of training")
    run = out / "run"
    train([corpora[kind] for kind in TRAINED], run=run, seconds=seconds, studies=2, questions=20, tasks=TASKS)

    stage(4, "questions about patients that it has not seen, each asked again without the image")
    results: dict[str, RunResult] = {}
    for kind in TRAINED:
        folder = out / f"bench-{kind}"
        results[kind] = bench(str(corpora[kind]), model=str(run / "last"), tasks=TASKS, limit=160, out=folder)

    stage(5, "one study on a slice")
    study = sorted((out / "studies" / "images").glob("*.nii.gz"))[-1]
    answer = ask(study, "Segment the heart.", model=str(run / "last"), out=out / "answer")

    stage(6, "a page")
    page = write_demo_page(out, corpora, results, answer, time.perf_counter() - began)
    console.say(f"{page}  ({console.clock(time.perf_counter() - began)} in all)")
    console.say_next(
        f"xdg-open {page}",
        f'radfoundry ask {study} "Where is the liver? Give its box." --model {run / "last"}',
        "radfoundry doctor YOUR-STUDIES",
    )
    return page


# the two corpora that the model learns from; the others show what else can be made of the same studies
TRAINED = ("grounded-report", "m3d")
# what a model of this size learns something of in a minute and a half; long texts take longer
TASKS = ("presence", "modality", "organ", "rec", "reg", "segment")
