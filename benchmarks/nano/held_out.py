"""What a model that learned from phantoms knows of 256 that it has not seen, beside who never looks: one JSON line a figure.

    python benchmarks/nano/held_out.py MODEL COHORT --corpora TRAINING-CORPORA ...

COHORT is made if it is not there: phantoms of another seed, all of the test split, so that they are asked in held-out words.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from radfoundry.cli.build import build
from radfoundry.corpus import Corpus
from radfoundry.evaluation.benching import Wanted, run_bench
from radfoundry.evaluation.reading import statements
from radfoundry.evaluation.runlog import ASKED, Record, RunLog
from radfoundry.language import find_findings, find_measurements, parse_report
from radfoundry.metrics.intervals import bootstrap, cluster_sums, partition, percentile_interval
from radfoundry.model import Answerer, Question, RegionPart, load
from radfoundry.model.looking import Look, look_at
from radfoundry.phantom import write_cohort
from radfoundry.phantom.truth import CONCEPTS

KINDS = ("m3d", "grounded-report")
SEED = 90_001


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--patients", type=int, default=256)
    parser.add_argument("--questions", type=int, default=3000, help="of each corpus")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or given.cohort / "runs" / given.model.parent.name
    corpora = held_out(given.cohort, given.patients)
    for kind, corpus in corpora.items():
        wanted = Wanted(
            str(corpus), None, str(given.model), "test", (), given.questions, out / kind, False, "other phantoms", False
        )
        done = run_bench(wanted, lambda asked, total: None)
        for score in done.result.scores:
            if score.scorer == "native" and score.primary:
                blind = {name: round(s.value, 4) for name, s in score.blind.items() if s.value is not None}
                say(
                    f"{kind}/{score.name}",
                    score.score.value,
                    score.score.low,
                    score.score.high,
                    score.score.n,
                    blind=blind,
                )
        for name, scores in by_kind_of_region(RunLog(out / kind).records(), Corpus(corpus)).items():
            say_mean(f"{kind}/{name}", scores)
    asking = Asking(given.model, Corpus(corpora["grounded-report"]), given.cohort)
    for name, scores in asking.everything():
        say_mean(name, scores)


def held_out(folder: Path, patients: int) -> dict[str, Path]:
    """Make the cohort and its corpora unless they are there."""
    table = folder / "studies" / "table.csv"
    if not table.exists():
        write_cohort(table.parent, patients, seed=SEED, splits=("test",))
    for kind in KINDS:
        if not (folder / kind / "corpus.json").exists():
            build(kind, table.parent, folder / kind, table=table)
    return {kind: folder / kind for kind in KINDS}


def by_kind_of_region(records: Sequence[Record], corpus: Corpus) -> dict[str, list[tuple[float, str]]]:
    """Dice of organs and of lesions of eight voxels and more, in CT and in radiographs; and the box's overlap by the same kinds."""
    regions = {region.region_id: region for region in corpus.rows("regions")}
    about = {s.sample_id: regions[s.region_ids[0]] for s in corpus.samples(split="test") if s.region_ids}
    out: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for record in records:
        region = about.get(record.sample_id)
        if record.condition != ASKED or region is None or record.answer_kind not in ("mask", "box"):
            continue
        kind = "lesion" if region.name in CONCEPTS else "organ"
        if kind == "lesion" and region.voxels < 8:
            continue
        what = "dice" if record.answer_kind == "mask" else "iou"
        out[f"{record.task}/{kind}-{what}-{record.modality}"].append((record.score or 0.0, record.patient))
    return out


class Asking:
    """Questions whose truth is the phantom's own, not its report's."""

    def __init__(self, model: Path, corpus: Corpus, cohort: Path) -> None:
        self.answerer = Answerer(*load(model))
        self.corpus = corpus
        self.truth = json.loads((cohort / "studies" / "truth.json").read_text(encoding="utf-8"))
        self.patient = {s.study_id: s.patient_id for s in corpus.rows("studies")}
        self.images = [i for i in corpus.rows("images") if i.modality == "CT"]

    def everything(self) -> Iterator[tuple[str, list[tuple[float, str]]]]:
        """Yield the name of each figure and its (score, patient) pairs."""
        yield from self.reports().items()
        yield "retrieval/R@1 of 64", self.retrieval()
        yield from self.given_regions().items()

    def look(self, image: Any) -> Look:
        pixels, row = self.corpus.image(image.image_id)
        return look_at(pixels, row.grid, row.modality, self.answerer.model.config)

    def reports(self, count: int = 128) -> dict[str, list[tuple[float, str]]]:
        """Present findings with their side in a written report, against those that its own report states; sizes within a quarter."""
        texts = {r.study_id: r.text for r in self.corpus.rows("reports")}
        counts: list[tuple[tuple[int, int, int], str]] = []
        sizes: list[tuple[float, str]] = []
        for image in self.images[:count]:
            study = self.answerer.open([self.look(image)])
            said = self.answerer.ask(study, [Question("Write the findings of this study.", max_tokens=256)])[0].text
            told, true = present(said), present(texts[image.study_id])
            counts.append(((len(told & true), len(told), len(true)), self.patient[image.study_id]))
            sizes += [(s, self.patient[image.study_id]) for s in sizes_within(said, texts[image.study_id])]
        return {
            "report/present findings with side, precision": [(a / b, p) for (a, b, _), p in counts if b],
            "report/present findings with side, recall": [(a / c, p) for (a, _, c), p in counts if c],
            "report/present findings with side, micro F1": [(micro_f1([c for c, _ in counts]), "all")],
            "report/sizes over 20 mm within a quarter": sizes,
        }

    def retrieval(self, count: int = 64) -> list[tuple[float, str]]:
        """Is the likeliest of 64 distinct reports, against how likely it is for the others, the image's own?"""
        texts = {r.study_id: r.text for r in self.corpus.rows("reports")}
        chosen: dict[str, Any] = {}
        for image in self.images:
            chosen.setdefault(findings_text(texts[image.study_id]), image)
        pairs = list(chosen.items())[:count]
        question = Question("Write the findings of this study.", choices=tuple(text for text, _ in pairs))
        table = np.array([self.answerer.likelihoods(self.answerer.open([self.look(i)]), question) for _, i in pairs])
        table -= table.mean(axis=0)
        right = table.argmax(axis=1) == np.arange(len(pairs))
        return [(float(ok), self.patient[image.study_id]) for ok, (_, image) in zip(right, pairs, strict=True)]

    def given_regions(self, count: int = 200) -> dict[str, list[tuple[float, str]]]:
        """Findings in the sentences about a given region, and about another region of the same scan, against its own sentences."""
        samples = [s for s in self.corpus.samples(split="test") if s.task == "region-report"]
        homes = {i.image_id: i for i in self.images}
        told: list[tuple[tuple[int, int, int], tuple[int, int, int]]] = []
        by_image = defaultdict(list)
        for sample in samples:
            if sample.image_ids[0] in homes:
                by_image[sample.image_ids[0]].append(sample)
        for image_id, group in by_image.items():
            asked = [s for s in group if present(s.turns[-1].text)]
            if not asked or len(group) < 2 or len(told) >= count:
                continue
            look = self.look(homes[image_id])
            study = self.answerer.open([look])
            for sample in asked:
                other = next((s for s in group if s.region_ids != sample.region_ids), None)
                if other is None:
                    continue
                questions = [self._about(s, sample, look) for s in (sample, other)]
                own, wrong = (present(a.text) for a in self.answerer.ask(study, questions))
                true = present(sample.turns[-1].text)
                told.append((overlap(own, true), overlap(wrong, true)))
        return {
            "given region/finding F1": [(micro_f1([own for own, _ in told]), "all")],
            "another region/finding F1": [(micro_f1([wrong for _, wrong in told]), "all")],
        }

    def _about(self, region: Any, sample: Any, look: Look) -> Question:
        mask = look.mask(self.corpus.mask(region.region_ids[0]))
        return Question((RegionPart(0, mask=mask), sample.turns[0].text), max_tokens=96)


def present(text: str) -> frozenset[tuple[str, str]]:
    """Findings that a text states, with their side."""
    return frozenset((s.concept, str(s.side)) for s in statements(text) if s.presence in ("present", "uncertain"))


def findings_text(report: str) -> str:
    return " ".join(s.text for s in parse_report(report).of("findings"))


def overlap(said: frozenset[Any], true: frozenset[Any]) -> tuple[int, int, int]:
    return len(said & true), len(said), len(true)


def micro_f1(counts: Sequence[tuple[int, int, int]]) -> float:
    shared, said, true = (sum(column) for column in zip(*counts, strict=True))
    return 2 * shared / max(said + true, 1)


def sizes_within(said: str, true: str) -> Iterator[float]:
    """Of every finding over 20 mm: is a size of the same finding on the same side within a quarter?"""
    told = dict(_sizes(said))
    for key, size in _sizes(true):
        if size > 20:
            yield float(key in told and abs(told[key] - size) <= 0.25 * size)


def _sizes(text: str) -> Iterator[tuple[tuple[str, str], float]]:
    for sentence in parse_report(text).of("findings"):
        measured = [max(m.values_mm) for m in find_measurements(sentence.text)]
        for finding in find_findings(sentence.text):
            if measured and finding.presence == "present":
                yield (finding.concept, str(finding.side)), measured[0]


def say_mean(name: str, scores: Sequence[tuple[float, str]]) -> None:
    if not scores:
        say(name, None, None, None, 0)
        return
    values, codes = np.array([s for s, _ in scores]), partition([p for _, p in scores])
    sums = cluster_sums(np.stack([values, np.ones(len(values))], axis=1), codes)
    low, high = percentile_interval(bootstrap(lambda counts: (counts @ sums[:, 0]) / (counts @ sums[:, 1]), codes))
    say(name, float(values.mean()), low, high, len(values), median=round(float(np.median(values)), 4))


def say(name: str, value: float | None, low: float | None, high: float | None, n: int, **more: Any) -> None:
    rounded = {k: None if v is None else round(v, 4) for k, v in (("value", value), ("low", low), ("high", high))}
    print(json.dumps({"figure": name, **rounded, "n": n, **more}), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
