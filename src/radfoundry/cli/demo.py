"""`radfoundry demo`: the whole line on phantoms."""

from __future__ import annotations

import time
from pathlib import Path


def demo(*, out: Path = Path("demo"), studies: int = 200, seconds: float = 110.0) -> Path:
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
    for kind in ("m3d", "grounded-report", "description", "instruction", "summary"):
        corpora[kind] = out / kind
        if kind == "m3d":
            build(kind, table.parent, corpora[kind], table=table, regions=REGIONS)
        else:
            build(kind, table.parent, corpora[kind], table=table, limit=48, workers=0)

    stage(3, f"a model of 2 million parameters learns to see, then to point and to name, {seconds:.0f} s")
    run = out / "run"
    train([corpora["m3d"]], run=run, seconds=seconds, studies=2, questions=32)

    stage(4, "questions about patients that it has not seen, each asked again without the image")
    result = bench(str(corpora["m3d"]), model=str(run / "last"), limit=320, out=out / "bench")

    stage(5, "one study on a slice")
    study = sorted((out / "studies" / "images").glob("*.nii.gz"))[-1]
    answer = ask(study, "Segment the heart.", model=str(run / "last"), out=out / "answer")

    stage(6, "a page")
    page = write_demo_page(out, corpora, result, answer, time.perf_counter() - began)
    console.say(f"{page}  ({console.clock(time.perf_counter() - began)} in all)")
    console.say_next(
        f"xdg-open {page}",
        f'radfoundry ask {study} "Where is the liver? Give its box." --model {run / "last"}',
        "radfoundry doctor YOUR-STUDIES",
    )
    return page


# large structures: what a model of this size learns to point at in a minute and a half
REGIONS = (
    "heart", "liver", "spleen", "aorta", "left lung", "right lung", "left lung lower lobe", "right lung lower lobe",
    "left lung upper lobe", "right lung upper lobe",
)  # fmt: skip
