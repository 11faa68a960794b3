"""A few phantoms built into every kind of corpus, once a test session."""

from __future__ import annotations

from pathlib import Path

import pytest

from radfoundry import builders, corpus
from radfoundry.phantom import write_cohort
from radfoundry.studies import discover

KINDS = tuple(builders.KINDS)


def build(kind: str, table: Path, out: Path) -> corpus.Corpus:
    found = discover(table.parent, table)
    salt = builders.corpus_salt(out / "salt.txt", [s.patient_key for s in found.studies])
    info = corpus.CorpusInfo(source_root=str(table.parent))
    pipeline = builders.pipeline(kind, table.parent, salt)
    corpus.build(found.studies, pipeline, out, workers=0, info=info, problems=found.problems)
    return corpus.Corpus(out)


@pytest.fixture(scope="session")
def phantom_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five patients, X-rays and priors among them; every split has one."""
    folder = tmp_path_factory.mktemp("phantoms")
    return write_cohort(folder, 5, splits=("train", "train", "train", "validation", "test"))


@pytest.fixture(scope="session")
def phantom_corpora(phantom_table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, corpus.Corpus]:
    """Corpus kind -> corpus."""
    out = tmp_path_factory.mktemp("corpora")
    return {kind: build(kind, phantom_table, out / kind) for kind in KINDS}
