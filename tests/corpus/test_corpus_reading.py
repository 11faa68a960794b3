"""Corpus: tables, rows, pictures, masks, views."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pytest
from corpus_toys import ToySource, toy_pipeline, toys

from radfoundry.corpus import Corpus, CorpusInfo, build, join
from radfoundry.errors import CorpusError, MismatchError, UnreadableError, UsageError
from radfoundry.records import Image


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    build(toys(20), toy_pipeline(), tmp_path, workers=0, info=CorpusInfo(source_root="/scans"))
    return Corpus(tmp_path)


def test_a_folder_without_a_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no corpus"):
        Corpus(tmp_path)


def test_an_unknown_table_is_wrong_use(corpus: Corpus) -> None:
    with pytest.raises(UsageError, match="no table 'notes'"):
        corpus.table("notes")


def test_tables_are_sorted_by_id_and_complete(corpus: Corpus) -> None:
    ids = corpus.table("images")["image_id"].to_pylist()
    assert (ids, len(ids)) == (sorted(set(ids)), 20)


def test_a_table_without_rows_has_its_columns(corpus: Corpus) -> None:
    links = corpus.table("links")
    assert (links.num_rows, links.column_names[0]) == (0, "link_id")


def test_columns_and_conditions_are_pushed_down(corpus: Corpus) -> None:
    some = corpus.table("studies", columns=["source"], where=pc.field("source") < "study-0005")
    assert some.column_names == ["source"]
    assert sorted(some["source"].to_pylist()) == [f"study-{i:04d}" for i in range(5)]


def test_rows_come_back_as_they_went_in(corpus: Corpus) -> None:
    (sample,) = [s for s in corpus.samples() if s.study_id == corpus.rows("studies")[0].study_id]
    assert [turn.text for turn in sample.turns] == ["What is it?", "A toy."]


def test_samples_are_chosen_by_task_and_split(corpus: Corpus) -> None:
    sizes = [len(corpus.samples(task="chat", split=split)) for split in ("train", "validation", "test")]
    assert sum(sizes) == len(corpus.samples()) == 20
    assert len(corpus.samples(task="report")) == 0


def test_samples_have_random_access(corpus: Corpus) -> None:
    samples = corpus.samples()
    assert [samples[i] for i in range(20)] == list(samples) == list(samples[:])
    assert samples[-1] == samples[19]
    assert list(samples[5:2:-1]) == [samples[5], samples[4], samples[3]]
    with pytest.raises(IndexError):
        samples[20]


def test_a_mask_is_its_label_map_at_its_value(corpus: Corpus) -> None:
    for region in corpus.rows("regions")[:3]:
        mask = corpus.mask(region.region_id)
        assert (mask.dtype, mask.shape, int(mask.sum())) == (np.bool_, (4, 6, 8), region.voxels)


def test_an_id_that_is_not_there_is_named(corpus: Corpus) -> None:
    with pytest.raises(UsageError, match="no 'reg_00' in the table regions"):
        corpus.mask("reg_00")


def test_a_label_map_that_is_not_there_is_named(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="no label map 'organs'"):
        corpus.labelmap(corpus.rows("images")[0].image_id, "organs")


def test_pixels_come_from_the_source_through_the_reader(corpus: Corpus) -> None:
    asked: list[tuple[Path, Image]] = []

    def reader(path: Path, row: Image) -> npt.NDArray:
        asked.append((path, row))
        return np.zeros(row.shape)

    image = corpus.rows("images")[3]
    pixels, row = Corpus(corpus.path, image_reader=reader).image(image.image_id)
    assert (pixels.shape, row) == ((4, 6, 8), image)
    assert asked == [(Path("/scans") / image.path, image)]


def test_the_project_s_own_reader_finds_the_image_again(tmp_path: Path) -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    np.save(tmp_path / "scan.npy", pixels)
    from radfoundry.corpus.images import read_pixels
    from radfoundry.studies import ImageSource, read_image
    from radfoundry.studies.identity import image_id_of

    read = read_image(ImageSource(tmp_path / "scan.npy", "npy"))
    grid = read.grid
    name = image_id_of(read)
    row = Image(
        name, "sty_1", "CT", 3, grid.shape, grid.spacing, grid.origin, grid.direction, grid.unit, path="scan.npy"
    )
    np.testing.assert_array_equal(read_pixels(tmp_path / "scan.npy", row), read.pixels)
    with pytest.raises(MismatchError, match="no longer holds the image img_1"):
        read_pixels(tmp_path / "scan.npy", replace(row, image_id="img_1"))
    with pytest.raises(UnreadableError, match="there is no"):
        read_pixels(tmp_path / "gone.npy", row)


def test_two_studies_that_share_an_image_each_have_it(tmp_path: Path) -> None:
    sources = [ToySource("a", content="x"), ToySource("b", content="x", licence="CC0-1.0"), *toys(3)]
    build(sources, toy_pipeline(), tmp_path, workers=0)
    corpus = Corpus(tmp_path)
    assert corpus.about["rows"] == {table: corpus.table(table).num_rows for table in corpus.about["rows"]}


def test_two_hundred_studies_of_which_four_are_bad_give_four_rejections_with_reasons(tmp_path: Path) -> None:
    """A corrupt, a truncated, a duplicated and a mislabelled file."""
    bad = {"study-0010": "row", "study-0020": "row", "study-0030": "row"}
    sources = [replace(s, content="study-0041") if s.key == "study-0040" else s for s in toys(200, bad)]
    report = build(sources, toy_pipeline(8), tmp_path, workers=0)
    rejected = Corpus(tmp_path).rows("rejected")
    assert report.rejected == len(rejected) == 4
    assert all(row.reason and row.mend for row in rejected)
    assert len(Corpus(tmp_path).rows("studies")) == report.rows["studies"] == 196
    assert {row.code for row in rejected} == {"truncated", "duplicate-study"}


def test_a_view_without_studies_lacks_all_that_hangs_on_them(corpus: Corpus) -> None:
    gone = [study.study_id for study in corpus.rows("studies")[:5]]
    view = corpus.without(gone)
    assert {table: view.table(table).num_rows for table in corpus.about["rows"]} == dict.fromkeys(
        corpus.about["rows"], 15
    )
    assert not {image.study_id for image in view.rows("images")} & set(gone)
    with pytest.raises(UsageError):
        view.image(next(i.image_id for i in corpus.rows("images") if i.study_id in gone))


def test_a_corpus_of_a_newer_kind_asks_for_a_newer_program(corpus: Corpus) -> None:
    path = corpus.path / "corpus.json"
    path.write_text(json.dumps(corpus.about | {"format_version": 99}))
    with pytest.raises(CorpusError, match="newer radfoundry"):
        Corpus(corpus.path)


def test_a_manifest_that_is_garbage_is_named(corpus: Corpus) -> None:
    next((corpus.path / "waves").iterdir()).write_text("{")
    with pytest.raises(CorpusError, match="is not a manifest"):
        Corpus(corpus.path).table("studies")


def test_a_row_stands_beside_the_rows_that_it_hangs_on(corpus: Corpus) -> None:
    rows = join(corpus, "regions", "images", "studies").to_pylist()
    images = {image.image_id: image for image in corpus.rows("images")}
    assert len(rows) == corpus.table("regions").num_rows
    for row in rows:
        assert row["images.study_id"] == row["studies.study_id"] == images[row["image_id"]].study_id
    with pytest.raises(UsageError, match="regions cannot be joined with reports"):
        join(corpus, "regions", "reports")
