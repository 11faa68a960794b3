"""Train nano from phantoms alone, once a seed, and ask each about phantoms that it has not seen: `make nano`.

    python benchmarks/nano/train.py --out nano --seeds 3 --seconds 3000

Prints the JSON lines of `held_out.py` for each seed. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from radfoundry.cli.build import build
from radfoundry.cli.train import train
from radfoundry.phantom import write_cohort

KINDS = ("m3d", "grounded-report")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("nano"))
    parser.add_argument("--patients", type=int, default=800)
    parser.add_argument("--seconds", type=float, default=3000.0, help="of training, a seed")
    parser.add_argument("--seeing", type=float, default=0.4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out", type=int, default=256)
    parser.add_argument("--questions", type=int, default=3000)
    given = parser.parse_args()
    table = given.out / "studies" / "table.csv"
    if not table.exists():
        write_cohort(table.parent, given.patients, seed=1, splits=("train",))
    corpora = [given.out / kind for kind in KINDS]
    for kind, corpus in zip(KINDS, corpora, strict=True):
        build(kind, table.parent, corpus, table=table)
    for seed in range(given.seeds):
        run = given.out / f"seed-{seed}"
        train(corpora, run=run, seconds=given.seconds, seeing=given.seeing, studies=4, questions=24, seed=seed)
        print(json.dumps({"seed": seed, "model": str(run / "last")}), flush=True)
        asking = [
            sys.executable,
            str(Path(__file__).with_name("held_out.py")),
            str(run / "last"),
            str(given.out / "held-out"),
        ]
        subprocess.run([*asking, "--patients", str(given.held_out), "--questions", str(given.questions)], check=True)


if __name__ == "__main__":
    main()
