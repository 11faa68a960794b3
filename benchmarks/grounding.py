"""How well sentences find their regions and findings, against phantoms whose truth is known: a JSON line a finding, then the whole.

    python benchmarks/grounding.py [--phantoms 200] [--seed 0]

Every phantom (and its priors) is written as files, built into a grounded-report corpus and read back through `Corpus`. A link is right
where its region is the true one, part of it, or a kind of it by `anatomy.is_a` (a lobe for "lung", the left pleura for "pleura"), or where
RadGenome files it under the true one (the pericardium under "heart"); a coarser one is wrong. `link_f1_anatomy` counts `is_a` alone. A
true region is found where a right link leads to it. A finding is right where its sentence has the concept with the presence stated.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from radfoundry import anatomy, builders, corpus
from radfoundry.ids import make_id, normalised_text
from radfoundry.language.places import head_of
from radfoundry.phantom import Phantom, make_phantom, write_cohort
from radfoundry.studies import discover

# of ten phantoms: the splits of `write_cohort`, so that a phantom can be made again here
SPLITS = ("train",) * 7 + ("validation",) + ("test",) * 2


@dataclass
class Score:
    """Counts of one finding: links given and right, regions true and found, statements given, true and right."""

    links: Counter[str] = field(default_factory=Counter)
    anatomy: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)

    def add_links(self, true: tuple[str, ...], given: set[str]) -> None:
        for counts, fits in ((self.links, filed_under), (self.anatomy, inside)):
            right = sum(any(fits(name, t) for t in true) for name in given)
            found = sum(any(fits(name, t) for name in given) for t in true)
            counts.update(given=len(given), right=right, true=len(true), found=found)

    def add_finding(self, true: tuple[str, str], given: set[tuple[str, str]]) -> None:
        right = true in given
        self.findings.update(true=1, found=right, right=right, given=sum(concept == true[0] for concept, _ in given))

    def row(self) -> dict[str, float]:
        scores = {"link_f1": f1(self.links), "link_f1_anatomy": f1(self.anatomy), "finding_f1": f1(self.findings)}
        return scores | {"links": self.links["true"], "findings": self.findings["true"]}


def f1(counts: Counter[str]) -> float:
    """From precision (right / given) and recall (found / true); 1 where nothing is true and nothing given."""
    precision = counts["right"] / counts["given"] if counts["given"] else 1.0
    recall = counts["found"] / counts["true"] if counts["true"] else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def score_phantoms(folder: Path, n: int, seed: int = 0) -> dict[str, Score]:
    """Build n phantoms into a corpus below `folder` and return the score of each finding, of "normal" sentences, and of "all"."""
    table = write_cohort(folder / "cohort", n, seed=seed, xray=False)
    built = build(table, folder / "corpus")
    told = told_by(built)
    scores: dict[str, Score] = defaultdict(Score)
    for study in studies(n, seed):
        sentences = told[make_id("report", normalised_text(study.report))]
        for link in study.links:
            for name in {*(link.concepts or ("normal",)), "all"}:
                scores[name].add_links(link.regions, sentences[link.sentence].regions)
        for truth in study.truth:
            if truth.mentioned:
                given = sentences[truth.sentence].findings
                for name in (truth.concept, "all"):
                    scores[name].add_finding((truth.concept, truth.stated), given)
    return scores


@dataclass
class Told:
    """What the corpus says of a sentence: the regions that it speaks of, its (concept, presence) statements."""

    regions: set[str] = field(default_factory=set)
    findings: set[tuple[str, str]] = field(default_factory=set)


def studies(n: int, seed: int) -> Iterator[Phantom]:
    for index in range(n):
        phantom = make_phantom(index, seed=seed, split=SPLITS[index % len(SPLITS)])
        yield from (study for study in (phantom.prior, phantom) if study is not None)


def build(table: Path, out: Path) -> corpus.Corpus:
    found = discover(table.parent, table)
    salt = builders.corpus_salt(out / "salt.txt", [s.patient_key for s in found.studies])
    info = corpus.CorpusInfo(source_root=str(table.parent))
    corpus.build(found.studies, builders.pipeline("grounded-report", table.parent, salt), out, workers=0, info=info)
    return corpus.Corpus(out)


def told_by(built: corpus.Corpus) -> dict[str, dict[str, Told]]:
    """Report id -> sentence of FINDINGS -> what is told by it (once more or twice: the same text says the same)."""
    by_id = {s.sentence_id: s for s in built.rows("sentences") if s.section == "findings"}
    told: dict[str, dict[str, Told]] = defaultdict(lambda: defaultdict(Told))
    for link in built.rows("links"):
        if link.finding_id is None and link.sentence_id in by_id:
            sentence = by_id[link.sentence_id]
            told[sentence.report_id][sentence.text].regions.add(link.name)
    for finding in built.rows("findings"):
        if finding.sentence_id in by_id:
            sentence = by_id[finding.sentence_id]
            told[sentence.report_id][sentence.text].findings.add((finding.concept, finding.presence))
    return told


def filed_under(name: str, region: str) -> bool:
    return inside(name, region) or head_of(name) == region


def inside(name: str, region: str) -> bool:
    return name == region or (anatomy.is_known(name) and anatomy.is_known(region) and anatomy.is_a(name, region))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--phantoms", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scores = score_phantoms(Path(folder), asked.phantoms, asked.seed)
    for name in sorted(scores, key=lambda name: (name == "all", name)):
        print(json.dumps({"finding": name, "phantoms": asked.phantoms, **scores[name].row()}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
