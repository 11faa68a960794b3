"""What a corpus may be used for, what it shares with benchmarks, what it costs, and one source looked at alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from corpus_toys import ToySource, content, toy_pipeline, toys

from radfoundry.corpus import (
    Benchmark,
    Corpus,
    CorpusInfo,
    build,
    combined,
    contamination,
    estimate_build,
    for_use,
    licence_counts,
    migrate,
    patient_overlap,
    replay,
    terms_of,
    write_card,
)
from radfoundry.corpus.contamination import corpus_as_benchmark
from radfoundry.corpus.fingerprints import perceptual_hash
from radfoundry.corpus.licences import _table
from radfoundry.corpus.migration import conform
from radfoundry.errors import CorpusError, UnreadableError, UsageError


def built(out: Path, sources: list[ToySource], **more: object) -> Corpus:
    build(sources, toy_pipeline(), out, workers=0, **more)  # type: ignore[arg-type]
    return Corpus(out)


# ---- licences


def test_every_licence_in_the_table_says_yes_or_no_and_is_there_once() -> None:
    text = (Path(__file__).parents[2] / "src/radfoundry/corpus/licences.tsv").read_text()
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    assert all(set(row[1:6]) <= {"yes", "no"} and len(row) == 7 for row in rows)
    assert len(_table()) == len(rows)


@pytest.mark.parametrize(
    ("licence", "commercial", "redistribute"),
    [("CC-BY-4.0", True, True), ("cc-by-nc-4.0", False, True), ("CC-BY-NC-ND-4.0", False, False), ("", False, False),
     ("CC-BY-4.0 AND CC-BY-NC-SA-4.0", False, True), ("our own", False, False)],
)  # fmt: skip
def test_licences_allow_what_they_allow(licence: str, commercial: bool, redistribute: bool) -> None:
    terms = terms_of(licence)
    assert (terms.allows("commercial"), terms.allows("redistribute"), terms.allows("research")) == (
        commercial,
        redistribute,
        True,
    )


def test_licences_of_several_rows_add_up() -> None:
    assert combined(["MIT", "CC-BY-4.0 AND MIT", ""]) == "CC-BY-4.0 AND MIT"


def test_a_use_leaves_out_what_its_licence_forbids(tmp_path: Path) -> None:
    sources = [replace(s, licence="CC-BY-NC-4.0") if i < 4 else s for i, s in enumerate(toys(10))]
    corpus = built(tmp_path, sources)
    assert licence_counts(corpus) == {"CC-BY-4.0": 6, "CC-BY-NC-4.0": 4}
    assert for_use(corpus, "commercial").table("reports").num_rows == 6
    assert for_use(corpus, "redistribute").table("regions").num_rows == 10


def test_a_use_that_nothing_allows_is_refused(tmp_path: Path) -> None:
    corpus = built(tmp_path, [replace(s, licence="") for s in toys(3)])
    with pytest.raises(UsageError, match="may be used for redistribute"):
        for_use(corpus, "redistribute")


# ---- contamination


def test_a_benchmark_s_images_texts_and_patients_are_found(tmp_path: Path) -> None:
    corpus = built(tmp_path, toys(6))
    study, image, report = (corpus.rows(t)[0] for t in ("studies", "images", "reports"))
    known = Benchmark(
        "bench", [image.image_id], (), [report.text + " again and again and again and again"], [study.patient_id]
    )
    found = contamination(corpus, known)
    assert {(o.kind, o.study_id) for o in found} == {("image", image.study_id), ("patient", study.study_id)}
    text = "one two three four five six seven eight nine ten eleven twelve thirteen"
    assert contamination(corpus, Benchmark("bench", texts=[text])) == []


def test_two_corpora_show_what_they_share(tmp_path: Path) -> None:
    one, two = built(tmp_path / "a", toys(6)), built(tmp_path / "b", toys(10)[4:])
    found = contamination(one, corpus_as_benchmark(two))
    assert len({o.study_id for o in found}) == 2
    assert len(patient_overlap(one, two)) == 2
    clean = one.without({o.study_id for o in found})
    assert contamination(clean, corpus_as_benchmark(two)) == []
    assert patient_overlap(clean, two) == []


def test_a_resampled_image_is_found_by_its_perceptual_hash(tmp_path: Path) -> None:
    corpus = built(tmp_path, toys(5))
    pixels = {
        i.image_id: np.random.default_rng(n).normal(size=(30, 30)).cumsum(0)
        for n, i in enumerate(corpus.rows("images"))
    }
    hashes = {image: perceptual_hash(p) for image, p in pixels.items()}
    victim = corpus.rows("images")[2]
    known = Benchmark("bench", image_hashes=[perceptual_hash(pixels[victim.image_id] * 3 + 1)])
    assert [(o.study_id, o.kind) for o in contamination(corpus, known, hashes)] == [(victim.study_id, "similar-image")]


# ---- card


def test_the_card_counts_what_is_there(tmp_path: Path) -> None:
    corpus = built(tmp_path, toys(12, {"study-0001": "row"}), info=CorpusInfo(title="Toys", citation="Me, 2026"))
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\n")
    for line in (
        "# Toys",
        "| studies | 11 |",
        "| CC-BY-4.0 | 11 | yes | yes | yes |",
        "| read | truncated | 1 |",
        "Me, 2026",
    ):
        assert line in card
    assert "card/tasks.svg" in card
    assert (tmp_path / "card" / "tasks.svg").read_text().startswith("<svg")
    assert corpus.about["title"] == "Toys"


def test_words_of_others_are_no_markup_in_the_card(tmp_path: Path) -> None:
    built(tmp_path, toys(1), info=CorpusInfo(title="<script>|`[x](y)\n# no"))
    card = (tmp_path / "README.md").read_text()
    assert "<script>" not in card
    assert "\n# no" not in card


def test_pictures_are_shown_in_the_card(tmp_path: Path) -> None:
    corpus = built(tmp_path, toys(2))
    write_card(corpus, {"sheet.png": b"\x89PNG"})
    assert "![](card/sheet.png)" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "card" / "sheet.png").read_bytes() == b"\x89PNG"


def test_croissant_names_every_table_and_plain_column(tmp_path: Path) -> None:
    corpus = built(tmp_path, toys(2))
    described = json.loads((tmp_path / "croissant.json").read_text())
    assert described["@type"] == "sc:Dataset"
    fields = {record["name"]: [f["name"] for f in record["field"]] for record in described["recordSet"]}
    for table in corpus.about["rows"]:
        structures = {"sections", "turns", "made_by"}
        assert fields[table] == [f"{table}/{n}" for n in corpus.table(table).column_names if n not in structures]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_datasets_opens_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    corpus = built(tmp_path / "corpus", toys(9))
    loaded = datasets.load_dataset(str(tmp_path / "corpus"), split="corpus", cache_dir=str(tmp_path / "cache"))
    assert sorted(loaded["sample_id"]) == corpus.table("samples")["sample_id"].to_pylist()
    studies = datasets.load_dataset(
        str(tmp_path / "corpus"), "studies", split="corpus", cache_dir=str(tmp_path / "cache")
    )
    assert len(studies) == 9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_croissant_is_valid_and_reads_rows(tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    corpus = built(tmp_path, toys(3))
    data = mlcroissant.Dataset(jsonld=str(tmp_path / "croissant.json"))
    assert not data.metadata.ctx.issues.errors
    rows = list(data.records("reports"))
    assert sorted(row["reports/text"].decode() for row in rows) == sorted(r.text for r in corpus.rows("reports"))


# ---- migration


def test_an_older_corpus_is_refused_until_it_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = built(tmp_path, toys(6))
    rows = corpus.rows("studies")
    monkeypatch.setattr("radfoundry.corpus.corpus.SCHEMA_VERSION", 2)
    with pytest.raises(CorpusError, match="older shape"):
        Corpus(tmp_path)
    monkeypatch.setattr("radfoundry.corpus.migration.SCHEMA_VERSION", 2)
    assert migrate(tmp_path) > 0
    assert Corpus(tmp_path).rows("studies") == rows


def test_new_columns_get_their_default_old_ones_go_and_renamed_ones_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path, toys(4))
    now = pq.read_table(next((tmp_path / "tables" / "studies").iterdir()), partitioning=None)
    place = now.column_names.index("body_part")
    old = now.remove_column(place).append_column("colour", now["sex"]).rename_columns({"licence": "license"})
    monkeypatch.setattr("radfoundry.corpus.migration.RENAMED", {("studies", "license"): "licence"})
    assert conform("studies", old).equals(now)
    with pytest.raises(CorpusError, match=r"studies\.patient_id cannot be made up"):
        conform("studies", now.drop_columns(["patient_id"]))


# ---- plan and replay


def test_an_estimate_is_measured_on_a_trial_and_leaves_the_folder_alone(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    estimate = estimate_build(toys(50), toy_pipeline(pause_s=0.002), out, workers=2, trial=5)
    assert (estimate.sources, estimate.left, estimate.measured, out.exists()) == (50, 50, 5, False)
    assert estimate.step_seconds["read"] >= 0.002
    assert estimate.hours == pytest.approx(50 * estimate.seconds_per_source / 2 / 3600)
    assert estimate.gigabytes > 0
    assert estimate.gpu_hours == 0


def test_an_estimate_of_a_build_under_way_uses_its_own_waves(tmp_path: Path) -> None:
    build(toys(50), toy_pipeline(), tmp_path, workers=0, limit=20)
    before = content(tmp_path)
    estimate = estimate_build(toys(50), toy_pipeline(), tmp_path, workers=1, trial=10)
    assert (estimate.measured, estimate.done, estimate.left) == (20, 20, 30)
    assert content(tmp_path) == before


def test_a_replay_shows_what_each_step_adds() -> None:
    stages = replay(toys(5), toy_pipeline(), "study-0002")
    assert [stage.step for stage in stages] == ["read", "segment", "ask"]
    assert [sorted(stage.added.rows) for stage in stages] == [
        ["images", "reports", "studies"],
        ["regions"],
        ["samples"],
    ]


def test_a_replay_ends_at_the_step_that_refuses_and_lets_a_bug_through() -> None:
    (stage,) = replay(toys(5, {"study-0002": "row"}), toy_pipeline(), "study-0002")
    assert isinstance(stage.refused, UnreadableError)
    with pytest.raises(ZeroDivisionError):
        replay(toys(5, {"study-0002": "bug"}), toy_pipeline(), "study-0002")
    with pytest.raises(UsageError, match="no source 'study-0009'"):
        replay(toys(5), toy_pipeline(), "study-0009")
