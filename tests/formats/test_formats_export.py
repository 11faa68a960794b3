"""`radfoundry export`: JSON lines and LLaVA out and back, whole or not at all, and what a licence forbids stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Picture

from radfoundry import builders, formats
from radfoundry.corpus import Corpus, CorpusInfo, build
from radfoundry.errors import MachineError, UnreadableError, UsageError
from radfoundry.formats import jsonl, llava, radgenome
from radfoundry.formats.radgenome.volumes import read_mask, read_volume, volume_mm3
from radfoundry.formats.shown import Shown, shown_samples
from radfoundry.records import Part, Turn
from radfoundry.studies import discover

REPORT = "Findings: Liver is normal. A stray <image> token. No pleural effusion.\nImpression: normal."


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A CT with a labelled box, and two X-rays, one of them not for sale."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(3)
    scan = rng.integers(-900, 200, (24, 20, 16)).astype(np.int16)
    labels = np.zeros_like(scan, np.uint8)
    labels[4:12, 5:9, 10:14] = 1
    for name, array in (("ct.nii.gz", scan), ("mask.nii.gz", labels)):
        nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 3.0, 1.0])), folder / name)
    (folder / "labels.json").write_text('{"1": "liver"}')
    for name in ("a.png", "b.png"):
        Picture.fromarray(rng.integers(0, 255, (40, 30)).astype(np.uint8)).save(folder / name)
    rows = ["image,report,patient,mask,labels,licence,modality", f'ct.nii.gz,"{REPORT}",p1,mask.nii.gz,labels.json,CC0-1.0,CT',
            f'a.png,"{REPORT}",p2,,,CC-BY-NC-4.0,DX', f'b.png,"{REPORT} Again.",p3,,,CC0-1.0,DX']  # fmt: skip
    (folder / "table.csv").write_text("\n".join(rows))
    found = discover(folder, folder / "table.csv")
    salt = builders.corpus_salt(folder / "out" / "salt.txt", [s.patient_key for s in found.studies])
    for kind in ("m3d", "grounded-report"):
        pipeline = builders.pipeline(kind, folder, salt)
        build(found.studies, pipeline, folder / kind, workers=0, info=CorpusInfo(source_root=str(folder)))
    return Corpus(folder / "m3d")


@pytest.fixture(scope="module")
def told(small: Corpus) -> Corpus:
    return Corpus(small.path.with_name("grounded-report"))


def test_every_layout_writes_and_reads() -> None:
    for name in formats.FORMATS:
        if name == "m3d" and not Path(formats.__file__).with_name("m3d.py").exists():
            continue
        module = formats.layout(name)
        assert callable(module.write)
        assert callable(module.read)
    with pytest.raises(UsageError, match="no format 'coco'"):
        formats.layout("coco")


def test_samples_survive_the_way_to_json_lines_and_back(small: Corpus, tmp_path: Path) -> None:
    counts = jsonl.write(small, tmp_path)
    again = {sample.sample_id: sample for sample in jsonl.read(tmp_path)["samples"]}
    assert again == {sample.sample_id: sample for sample in small.rows("samples")}
    assert counts["samples"] == len(again)


def test_images_and_regions_of_json_lines_are_files_on_one_grid(small: Corpus, tmp_path: Path) -> None:
    jsonl.write(small, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    line = next(line for line in lines if line["task"] == "segment")
    scan = nib.load(tmp_path / line["images"][0])
    (region,) = line["regions"].values()
    mask = nib.load(tmp_path / region["labelmap"])
    np.testing.assert_allclose(scan.affine, mask.affine, atol=1e-4)
    inside = np.argwhere(np.asarray(mask.dataobj).transpose(2, 1, 0) == region["value"])
    (box,) = line["boxes"]
    assert [*inside.min(axis=0), *(inside.max(axis=0) + 1)] == box
    pixels, row = small.image(Path(line["images"][0]).name.split(".")[0])
    np.testing.assert_array_equal(np.asarray(scan.dataobj).transpose(2, 1, 0), pixels)
    assert row.dimensions == 3


def test_a_line_that_is_no_sample_is_named(small: Corpus, tmp_path: Path) -> None:
    jsonl.write(small, tmp_path)
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write('{"id": 1}\n')
    with pytest.raises(UnreadableError, match="is no sample"):
        jsonl.read(tmp_path)
    with pytest.raises(UsageError, match="no samples"):
        jsonl.read(tmp_path / "images")


def test_conversations_show_their_pictures_first_and_come_back(told: Corpus, tmp_path: Path) -> None:
    counts = llava.write(told, tmp_path)
    rows = [row for path in tmp_path.glob("*.json") for row in json.loads(path.read_text())]
    assert len(rows) == counts["samples"] > 3
    for row in rows:
        first = row["conversations"][0]
        assert (first["from"], first["value"].startswith("<image>\n")) == ("human", True)
        assert sum(turn["value"].count("<image>") for turn in row["conversations"]) == 1
        with Picture.open(tmp_path / row["image"]) as picture:
            assert picture.mode == "L"
    again = {s.sample_id: s for s in llava.read(tmp_path)["samples"]}
    for sample in told.samples():
        if sample.sample_id in again and sample.answer_kind in ("open", "closed"):
            assert again[sample.sample_id].turns == sample.turns
            assert again[sample.sample_id].image_ids == sample.image_ids


def test_choices_stand_below_the_question(told: Corpus) -> None:
    sample = replace(told.rows("samples")[0], answer_kind="choice", choices=("heart", "<image>"))
    turns = llava._object(Shown(sample, (), ""), [])["conversations"]
    assert turns[-2]["value"].endswith("\nAnswer with one of: heart; <\u200bimage>")


def test_a_report_that_spells_the_picture_token_is_text(told: Corpus, tmp_path: Path) -> None:
    llava.write(told, tmp_path)
    said = [
        turn["value"]
        for p in tmp_path.glob("*.json")
        for row in json.loads(p.read_text())
        for turn in row["conversations"]
    ]
    assert any("stray" in value for value in said)
    assert not [value for value in said if "stray <image> token" in value]
    read = [turn.text for sample in llava.read(tmp_path)["samples"] for turn in sample.turns]
    assert any("stray <image> token" in text for text in read)


def test_a_volume_is_shown_by_the_slice_with_most_of_its_region(small: Corpus, tmp_path: Path) -> None:
    region = next(r for r in small.rows("regions") if r.name == "liver")
    assert region.box[0] <= llava._fullest_slice(small, [region]) < region.box[3]
    counts = llava.write(small, tmp_path)
    assert counts["left out: answers with a mask"] > 0
    assert counts["left out: answers with a box of a volume"] > 0


def test_boxes_of_pictures_are_parts_of_the_picture(small: Corpus) -> None:
    picture = next(i for i in small.rows("images") if i.dimensions == 2)
    assert llava._normalised((10, 15, 40, 30), replace(picture, shape=(40, 30))) == "[0.500, 0.250, 1.000, 1.000]"


def test_anyone_s_conversations_are_read(tmp_path: Path) -> None:
    row = {"id": 7, "image": "train/x.jpg", "conversations": [{"from": "human", "value": "What is it?\n<image>"},
                                                              {"from": "gpt", "value": "A chest."}]}  # fmt: skip
    (tmp_path / "train.json").write_text(json.dumps([row]))
    (sample,) = llava.read(tmp_path)["samples"]
    assert sample.turns[0] == Turn("user", (Part("text", "What is it?"), Part("image", ref="train/x.jpg")))
    assert (sample.sample_id, sample.split, sample.task) == ("7", "train", "chat")
    (tmp_path / "train.json").write_text('{"a": 1}')
    with pytest.raises(UnreadableError, match="no list"):
        llava.read(tmp_path)


def test_an_export_names_its_terms_and_leaves_out_what_they_forbid(small: Corpus, tmp_path: Path) -> None:
    every = formats.export_corpus(small, "jsonl", tmp_path / "all")
    sold = formats.export_corpus(small, "jsonl", tmp_path / "sold", ("commercial", "redistribute"))
    assert every.licence == "CC-BY-NC-4.0 AND CC0-1.0"
    assert (sold.licence, sold.studies_left_out) == ("CC0-1.0", 1)
    assert {s.licence for s in jsonl.read(tmp_path / "sold")["samples"]} == {"CC0-1.0"}
    assert json.loads((tmp_path / "sold" / "export.json").read_text())["uses"] == ["commercial", "redistribute"]


def test_a_sample_that_shows_an_image_of_a_study_left_out_is_left_out(small: Corpus, tmp_path: Path) -> None:
    gone = next(s.study_id for s in small.rows("studies") if s.licence == "CC-BY-NC-4.0")
    lost = next(i.image_id for i in small.rows("images") if i.study_id == gone)
    view = small.without([gone])
    pair = replace(view.rows("samples")[0], sample_id="smp_x", image_ids=(lost,))
    chosen = shown_samples(view, [*view.rows("samples"), pair])
    assert "smp_x" not in {shown.sample.sample_id for shown in chosen.samples}
    assert sum(chosen.left_out.values()) == 1
    both = shown_samples(small, [replace(pair, study_id=view.rows("studies")[0].study_id)])
    assert both.samples[0].licence == "CC-BY-NC-4.0 AND CC0-1.0"


def test_a_folder_that_holds_something_is_refused(small: Corpus, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="is not empty"):
        formats.export_corpus(small, "llava", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_export_that_fails_leaves_nothing_and_can_be_run_again(
    small: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("radfoundry.formats.jsonl.shutil.copyfile", _full)
        with pytest.raises(MachineError, match="is full"):
            formats.export_corpus(small, "jsonl", tmp_path / "dst")
    assert not list(tmp_path.iterdir())
    (tmp_path / ".dst.exporting").mkdir()  # what a killed export left
    formats.export_corpus(small, "jsonl", tmp_path / "dst")
    assert [path.name for path in tmp_path.iterdir()] == ["dst"]


def _full(*paths: Path) -> None:
    import errno

    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_export_s_masks_are_where_its_regions_are(told: Corpus, tmp_path: Path) -> None:
    counts = radgenome.write(told, tmp_path)
    data = radgenome.read_tables(tmp_path)
    (volume,) = data.volumes
    assert (counts["volumes"], counts["masks"], radgenome.breaches(data)) == (1, 2, [])
    pixels, grid = read_volume(tmp_path, volume, (3.0, 1.0, 1.0))
    liver = read_mask(tmp_path, volume, "abdomen/abdomen/liver")
    truth = next(region for region in told.rows("regions") if region.name == "liver")
    assert (liver.how, liver.mask.shape) == ("anatomy", pixels.shape)
    assert volume_mm3(liver.mask, grid) == pytest.approx(truth.mm3, rel=0.15)
    listed = (tmp_path / "volumes.csv").read_text().splitlines()
    assert listed[1].startswith(f"{volume},sty_")


def test_a_corpus_without_ct_has_no_place_in_radgenome_s_layout(small: Corpus, tmp_path: Path) -> None:
    ct = [i.study_id for i in small.rows("images") if i.dimensions == 3]
    with pytest.raises(UsageError, match="no CT volume"):
        formats.export_corpus(small.without(ct), "radgenome", tmp_path / "dst")


def test_the_command_writes_and_says_so(small: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from radfoundry.cli.export import export

    export(small.path, "radgenome", tmp_path / "rg", json=True)
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["counts"]["volumes"] == 1
    export(small.path, "llava", tmp_path / "l", use=("commercial",))
    assert "studies left out by licence" in capsys.readouterr().out
