"""M3D's layout, both ways; each trap of its data is a test that names it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry import anatomy
from radfoundry.corpus import Corpus
from radfoundry.errors import UnreadableError, UsageError
from radfoundry.formats import m3d
from radfoundry.formats.m3d.arrays import cut_of, is_empty_class, resize_labels, resize_linear, unit_range, windowed
from radfoundry.formats.m3d.rows import load_array
from radfoundry.formats.m3d.texts import asked

SHAPE = (8, 16, 16)


@pytest.fixture(scope="module")
def corpus(phantom_corpora: dict[str, Corpus]) -> Corpus:
    return phantom_corpora["m3d"]


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("m3d")
    m3d.write(corpus, out, shape=SHAPE)
    return out


# Both ways --------------------------------------------------------------------------------------------------------


def test_captions_come_back_with_their_split(corpus: Corpus, folder: Path) -> None:
    volumes = {i.image_id for i in corpus.rows("images") if i.dimensions == 3}
    ours = {(s.image_ids[0], s.turns[-1].text, s.split) for s in corpus.samples("report") if s.image_ids[0] in volumes}
    rows = m3d.read_tables(folder).captions
    assert {(row.image.stem, row.text, row.split) for row in rows} == ours
    assert {row.split for row in rows} == {"train", "validation", "test"}


def test_questions_come_back_with_options_and_letter(corpus: Corpus, folder: Path) -> None:
    tasks = {1: "plane", 2: "phase", 3: "organ", 4: "abnormality", 5: "location"}
    volumes = {i.image_id for i in corpus.rows("images") if i.dimensions == 3}
    ours = {
        (s.task, s.turns[-2].text, s.turns[-1].text, s.split, s.answer_kind == "closed")
        for s in corpus.samples()
        if s.task in tasks.values() and s.image_ids[0] in volumes
    }
    rows = m3d.read_tables(folder).questions
    assert {(tasks[q.kind], q.question, q.answer, q.split, q.yes_no) for q in rows} == ours
    for row in rows:
        assert len(row.choices) == 4
        if row.has_choices:
            assert row.choices["ABCD".index(row.letter)] == row.answer
            assert row.closed[0].startswith(f"{row.question} Choices: A. ")
        else:
            assert (row.letter, row.closed[0]) == ("NA", row.question)


def test_samples_read_from_the_lists_are_those_that_were_written(corpus: Corpus, folder: Path) -> None:
    back = {(s.image_ids, s.task, s.turns[-2].text, s.turns[-1].text) for s in m3d.read(folder)["samples"]}
    ours = {(s.image_ids, s.task, s.turns[-2].text, s.turns[-1].text) for s in corpus.samples("abnormality")}
    volumes = {i.image_id for i in corpus.rows("images") if i.dimensions == 3}
    assert {row for row in ours if row[0][0] in volumes} <= back


def test_masks_are_the_regions_on_the_stored_grid(corpus: Corpus, folder: Path) -> None:
    regions = {(r.image_id, r.name): r for r in corpus.rows("regions")}
    images = {row.image.parent.name: row.image.stem for row in m3d.read_tables(folder).captions}
    rows = m3d.read_tables(folder).masks
    assert {row.split for row in rows} == {"train", "test"}
    for row in rows[::40]:
        image_id = images[row.image.parent.name]
        pixels, about = corpus.image(image_id)
        cut = cut_of(unit_range(windowed(pixels, about.modality)))
        ours = resize_labels(corpus.mask(regions[image_id, row.region].region_id)[cut], SHAPE)
        stored = load_array(row.mask)
        assert row.is_negative if not ours.any() else np.array_equal(stored[0], ours)
        volume = load_array(row.image)
        assert (volume.shape, volume.dtype) == ((1, *SHAPE), np.float32)
        assert volume.min() >= 0
        assert volume.max() <= 1


def test_the_terms_are_the_definitions_that_were_asked(folder: Path) -> None:
    terms = m3d.read_tables(folder).terms
    assert terms
    for name, told in terms.items():
        assert anatomy.is_known(name)
        assert all(name not in text for text in told)


def test_a_split_that_is_not_in_the_list_is_answered_with_those_that_are(folder: Path) -> None:
    data = m3d.read_tables(folder)
    assert {row.split for row in data.captions_of("test")} == {"test"}
    with pytest.raises(UsageError, match="test, train, validation"):
        data.captions_of("hard_test")


def test_no_patient_is_in_two_splits(corpus: Corpus, folder: Path) -> None:
    patients = {s.study_id: s.patient_id for s in corpus.rows("studies")}
    owner = {i.image_id: patients[i.study_id] for i in corpus.rows("images")}
    splits: dict[str, set[str]] = {}
    for row in m3d.read_tables(folder).captions:
        splits.setdefault(owner[row.image.stem], set()).add(row.split)
    assert all(len(found) == 1 for found in splits.values())


def test_what_has_no_place_is_counted(corpus: Corpus, tmp_path: Path) -> None:
    counts = m3d.write(corpus, tmp_path, shape=(4, 8, 8))
    films = {i.image_id for i in corpus.rows("images") if i.dimensions == 2}
    assert counts["left out: not about one volume"] == sum(s.image_ids[0] in films for s in corpus.samples())
    assert sum(counts.values()) == len(corpus.samples())


def test_a_folder_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not in M3D's layout"):
        m3d.read(tmp_path)


# Traps ------------------------------------------------------------------------------------------------------------


def test_min_max_comes_before_the_cut_and_the_cut_before_the_resize_m3d_t1() -> None:
    volume = np.full((6, 8, 8), 5.0, np.float32)
    volume[2:4, 2:6, 2:6] = np.linspace(6, 9, 32, dtype=np.float32).reshape(2, 4, 4)
    stored = m3d.prepare_caption({"0.png": np.zeros((2, 2), np.uint8), "1.png": np.ones((2, 2), np.uint8)}, (2, 2, 2))
    assert stored.max() == 1
    own = unit_range(volume)
    assert own[cut_of(own)].shape == (2, 4, 4)
    assert own.max() == 1
    assert own[2, 2, 2] == pytest.approx(0.25)


def test_linear_resize_is_half_pixel_without_averaging_m3d_t1() -> None:
    line = np.arange(4, dtype=np.float32).reshape(4, 1, 1)
    assert resize_linear(line, (2, 1, 1)).ravel().tolist() == [0.5, 2.5]
    assert resize_linear(line, (8, 1, 1)).ravel().tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


@settings(deadline=None)  # the first call imports torch
@given(st.integers(1, 9), st.integers(1, 12))
def test_resize_agrees_with_pytorch_m3d_t1(old: int, new: int) -> None:
    functional = pytest.importorskip("torch.nn.functional")
    torch = pytest.importorskip("torch")
    volume = np.random.default_rng(old * 100 + new).normal(size=(old, 3, 2)).astype(np.float32)
    shape = (new, 4, 5)
    tensor = torch.from_numpy(volume)[None, None]
    theirs = functional.interpolate(tensor, size=shape, mode="trilinear", align_corners=False)[0, 0].numpy()
    assert np.allclose(resize_linear(volume, shape), theirs, atol=1e-5)
    nearest = functional.interpolate(tensor, size=shape, mode="nearest")[0, 0].numpy()
    assert np.array_equal(resize_labels(volume, shape), nearest)


def test_slices_sort_by_number_and_minority_shapes_are_dropped_m3d_t2() -> None:
    slices = {f"{n}.png": np.full((4, 4), 20 * n, np.uint8) for n in (10, 2, 1, 9)}
    slices["3.png"] = np.zeros((5, 4), np.uint8)
    stored = m3d.prepare_caption(slices, (3, 4, 4))
    assert np.diff(stored[0, :, 0, 0]).min() > 0
    assert m3d.plain_name("Axial_C_pö") == "Axial_C_po"


@pytest.mark.parametrize(
    ("report", "kept"),
    [
        ("history: x\nstudy_findings: Cyst.\nNo mass.\ndiscussion: benign", "Cyst. No mass. discussion: benign"),
        ("study_findings: ab \n", "study_findings: ab"),
        ("discussion: a mass\nstudy_findings: -", "a mass study_findings: -"),
        ("nothing said", "nothing said"),
    ],
)
def test_text_keeps_all_after_the_findings_else_the_discussion_else_everything_m3d_t3(report: str, kept: str) -> None:
    assert m3d.kept_text(report) == kept


def test_axes_of_masks_and_of_referring_masks_differ_m3d_t4() -> None:
    image = np.arange(24, dtype=np.float32).reshape(2, 3, 4) + 1  # x, y, z
    image[0, 0, 0] = 0
    seg = m3d.prepare_segmentation(image[None], np.ones((1, 2, 3, 4), np.int32), (4, 3, 2))
    ref = m3d.prepare_referring(image, np.ones((2, 3, 4), np.int32), (4, 2, 3))
    assert np.argmax(seg.image[0]) == np.argmax(np.transpose(image, (2, 1, 0)))
    assert np.argmax(ref.image[0]) == np.argmax(np.transpose(image, (2, 0, 1)))


def test_referring_files_of_ours_have_their_own_axes_m3d_t4(corpus: Corpus, folder: Path) -> None:
    row = m3d.read_tables(folder).referring[0]
    alone = {r.image.parent.name: r for r in m3d.read_tables(folder).masks}[row.image.parent.name]
    assert np.array_equal(np.swapaxes(load_array(row.image), -1, -2), load_array(alone.image))


def test_an_empty_class_is_one_zero_and_stays_in_the_list_m3d_t5(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((1, 6, 6, 6)).astype(np.float32)
    done = m3d.prepare_segmentation(image, np.zeros((1, 6, 6, 6), np.int32), (4, 4, 4))
    assert done.masks[0].shape == (1, 1, 1, 1)
    assert is_empty_class(done.masks[0])
    home = _seg_set(tmp_path, "9001", ["liver"], {"train": [("a", 0)]})
    np.save(home / "a" / "masks" / "mask_0.npy", done.masks[0])
    (row,) = m3d.read_tables(tmp_path).masks
    assert row.is_negative


def _seg_set(root: Path, code: str, labels: list[str], items: dict[str, list[tuple[str, int]]]) -> Path:
    home = root / "M3D_Seg_npy" / code
    listed = {}
    for split, rows in items.items():
        paths = [f"/data/somebody/M3D_Seg_npy/{code}/{case}" for case, _ in rows]
        named = zip(paths, rows, strict=True)
        listed[split] = [{"image": f"{p}/image.npy", "label": f"{p}/masks/mask_{c}.npy"} for p, (_, c) in named]
        for case, _ in rows:
            (home / case / "masks").mkdir(parents=True, exist_ok=True)
    named_labels = {"0": "background"} | {str(n): label for n, label in enumerate(labels, 1)}
    (home / f"{code}.json").write_text(json.dumps({"labels": named_labels, **listed}))
    return home


def test_a_class_is_counted_from_zero_and_the_second_l1_is_l2_m3d_t6(tmp_path: Path) -> None:
    labels = [m.name for m in anatomy.crosswalk("m3d_seg").mappings if m.value.startswith("0014/")]
    home = _seg_set(tmp_path, "0014", labels, {"train": [("a", 19), ("a", 20)], "test": [("b", 0)]})
    rows = m3d.read_tables(tmp_path).masks
    assert [row.label for row in rows] == ["lumbar spine L1", "lumbar spine L1", "cervical spine C1"]
    assert [row.region for row in rows[:2]] == ["lumbar vertebrae 1 (l1)", "lumbar vertebrae 2 (l2)"]
    assert [row.split for row in rows] == ["train", "train", "test"]
    assert rows[0].mask == home / "a" / "masks" / "mask_19.npy"


def test_a_class_beyond_the_list_is_refused_m3d_t6(tmp_path: Path) -> None:
    _seg_set(tmp_path, "9001", ["liver"], {"train": [("a", 1)]})
    with pytest.raises(UnreadableError, match="counted from 0"):
        m3d.read_tables(tmp_path)


@given(st.lists(st.integers(0, 5), min_size=8, max_size=8), st.integers(1, 20))
def test_a_referring_mask_invents_no_id_and_picks_one_m3d_t7(values: list[int], new: int) -> None:
    mask = np.array(values).reshape(2, 2, 2)
    assert set(np.unique(resize_labels(mask, (new, new, new)))) <= set(values)


def test_a_referring_row_is_one_value_of_its_mask_m3d_t7(corpus: Corpus, folder: Path) -> None:
    for row in m3d.read_tables(folder).referring[:10]:
        labels = load_array(row.mask)
        assert row.target().sum() == (labels == row.mask_id).sum()
        assert row.target().dtype == np.int8


def test_both_spellings_of_the_mask_token_are_read_as_one_m3d_t9(tmp_path: Path) -> None:
    path = tmp_path / "M3D_RefSeg_npy" / "M3D_RefSeg.csv"
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Image", "Mask", "Mask_ID", "Question_Type", "Question", "Answer"])
        rows.writerow(["s1/ct.npy", "s1/mask.npy", 2, 1, "Where?", "Sure, <SEG> and [SEG]."])
    (row,) = m3d.read_tables(tmp_path).referring
    assert row.answer == "Sure, [SEG] and [SEG]."
    assert (row.mask, row.mask_id, row.kind, row.split) == (path.parent / "s1/mask.npy", 2, 1, "train")


def test_a_shortened_report_keeps_its_first_sentence_uncounted_and_draws_others_m3d_t10() -> None:
    report = "first sentence is long enough. " + ". ".join(f"word{n} more" for n in range(30))

    def count(text: str) -> int:
        return len(text.split()) + 2

    drawn = {m3d.shortened(report, 20, count, np.random.default_rng(seed)) for seed in range(5)}
    assert len(drawn) > 1
    for text in drawn:
        first, *others = text.split(".")
        assert first == "first sentence is long enough"
        assert sum(count(s) for s in others) <= 20
    assert m3d.shortened("short one.", 20, count, np.random.default_rng(0)) == "short one."


def test_a_missing_code_folder_is_named_and_the_others_are_read_m3d_t47(tmp_path: Path) -> None:
    _seg_set(tmp_path, "9001", ["liver"], {"train": [("a", 0)]})
    (tmp_path / "M3D_Seg_npy" / "dataset_info.json").write_text(json.dumps({"9001": ["liver"], "0025": ["aorta"]}))
    data = m3d.read_tables(tmp_path)
    assert len(data.masks) == 1
    assert len(data.skipped) == 1
    assert data.skipped[0].startswith("0025")


def test_one_case_in_two_splits_is_found_by_its_text_m3d_t48(tmp_path: Path) -> None:
    home = tmp_path / "M3D_Cap_npy"
    items: dict[str, list[dict[str, str]]] = {"train": [], "test": []}
    for split, part, case, text in (
        ("train", "ct_case", "000001", "A  mass in the liver."),
        ("test", "ct_quizze", "000900", "a mass in the liver."),
        ("test", "ct_case", "000002", "Another report."),
    ):
        place = home / part / case
        place.mkdir(parents=True)
        (place / "text.txt").write_text(text)
        items[split].append(
            {"image": f"M3D_Cap_npy/{part}/{case}/a.npy", "text": f"M3D_Cap_npy/{part}/{case}/text.txt"}
        )
    (tmp_path / "M3D_Cap").mkdir()
    (tmp_path / "M3D_Cap" / "M3D_Cap.json").write_text(json.dumps(items))
    (group,) = m3d.straddling(m3d.read_tables(tmp_path).captions)
    assert {row.image.parts[-3] for row in group} == {"ct_case", "ct_quizze"}


def test_open_and_closed_questions_are_the_same_rows() -> None:
    assert asked("Where?", ("liver", "NA", "NA", "NA")) == "Where? Choices: A. liver B. NA C. NA D. NA"
    assert asked("Where?", ("NA",) * 4) == "Where?"
