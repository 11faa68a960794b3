"""What a corpus shares with a benchmark or with another corpus: pictures, texts, patients. To be known before a score is believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from radfoundry.corpus.fingerprints import close_pairs, perceptual_hash, similar_texts

if TYPE_CHECKING:
    from radfoundry.corpus.corpus import Corpus

__all__ = ["Benchmark", "Overlap", "contamination", "corpus_as_benchmark", "image_hashes", "patient_overlap"]

# Shorter texts are shared by chance; 13 words in a row is what language-model work calls a leak.
_FEWEST_WORDS = 13
_LEAST_JACCARD = 0.8
_MOST_BITS = 6


@dataclass(frozen=True)
class Benchmark:
    """What is held back for testing: exact image ids, perceptual hashes (see `perceptual_hash`), texts, patient ids."""

    name: str
    image_ids: Sequence[str] = ()
    image_hashes: Sequence[int] = ()
    texts: Sequence[str] = ()
    patient_ids: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Overlap:
    """A study that a benchmark knows. kind: image, similar-image, text or patient; evidence: what is the same, in words or an id."""

    study_id: str
    benchmark: str
    kind: str
    evidence: str


def contamination(corpus: Corpus, benchmark: Benchmark, hashes: dict[str, int] | None = None) -> list[Overlap]:
    """Return every study that overlaps with a benchmark, sorted; `corpus.without({o.study_id for o in ...})` is clean of it.

    hashes: image id -> perceptual hash (`image_hashes`); without them only identical images are found.
    """
    found = [*_images(corpus, benchmark), *_texts(corpus, benchmark), *_patients(corpus, benchmark)]
    if hashes:
        found += _alike(corpus, benchmark, hashes)
    return sorted(set(found), key=lambda o: (o.study_id, o.kind, o.evidence))


def image_hashes(corpus: Corpus) -> dict[str, int]:
    """Return the perceptual hash of every image; reads every source."""
    ids = dict.fromkeys(corpus.table("images", columns=["image_id"])["image_id"].to_pylist())
    return {image_id: perceptual_hash(corpus.image(image_id)[0]) for image_id in ids}


def corpus_as_benchmark(corpus: Corpus, hashes: dict[str, int] | None = None) -> Benchmark:
    """Return a corpus as something that another must not overlap with."""
    return Benchmark(
        corpus.about["title"] or str(corpus.path.name),
        tuple(corpus.table("images", columns=["image_id"])["image_id"].to_pylist()),
        tuple((hashes or {}).values()),
        tuple(corpus.table("reports", columns=["text"])["text"].to_pylist()),
        tuple(corpus.table("studies", columns=["patient_id"])["patient_id"].to_pylist()),
    )


def patient_overlap(one: Corpus, other: Corpus) -> list[str]:
    """Return the patients in both corpora. Ids are salted: corpora built with different salts share none even if people do."""
    both = [set(c.table("studies", columns=["patient_id"])["patient_id"].to_pylist()) for c in (one, other)]
    return sorted(both[0] & both[1])


def _images(corpus: Corpus, benchmark: Benchmark) -> Iterator[Overlap]:
    known = set(benchmark.image_ids)
    for image, study in _pairs(corpus, "images", "image_id"):
        if image in known:
            yield Overlap(study, benchmark.name, "image", image)


def _patients(corpus: Corpus, benchmark: Benchmark) -> Iterator[Overlap]:
    known = set(benchmark.patient_ids)
    for patient, study in _pairs(corpus, "studies", "patient_id"):
        if patient in known:
            yield Overlap(study, benchmark.name, "patient", patient)


def _texts(corpus: Corpus, benchmark: Benchmark) -> Iterator[Overlap]:
    """Texts of the benchmark come first, so a pair of the two kinds is (benchmark, corpus)."""
    known = [text for text in benchmark.texts if len(text.split()) >= _FEWEST_WORDS]
    ours = [(text, study) for text, study in _pairs(corpus, "reports", "text") if len(text.split()) >= _FEWEST_WORDS]
    for a, b in similar_texts([*known, *[text for text, _ in ours]], _LEAST_JACCARD):
        if a < len(known) <= b:
            yield Overlap(ours[b - len(known)][1], benchmark.name, "text", known[a][:80])


def _alike(corpus: Corpus, benchmark: Benchmark, hashes: dict[str, int]) -> Iterator[Overlap]:
    known = list(benchmark.image_hashes)
    ours = [(hashes[image], study) for image, study in _pairs(corpus, "images", "image_id") if image in hashes]
    for a, b, distance in close_pairs([*known, *[value for value, _ in ours]], _MOST_BITS):
        if a < len(known) <= b:
            yield Overlap(ours[b - len(known)][1], benchmark.name, "similar-image", f"{distance} bits differ")


def _pairs(corpus: Corpus, table: str, column: str) -> Iterable[tuple[str, str]]:
    data = corpus.table(table, columns=[column, "study_id"])
    return zip(data[column].to_pylist(), data["study_id"].to_pylist(), strict=True)
