"""RadGenome's layout: paths, the row logic of its tables against the published ones, volumes that have forgotten their place."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from format_corpora import Told, corpus_of
from hypothesis import given, settings
from hypothesis import strategies as st

from radfoundry import anatomy
from radfoundry.errors import GeometryError, MismatchError, UnreadableError, UsageError
from radfoundry.formats.ct_rate import VolumeFacts, read_metadata, to_hu
from radfoundry.formats.radgenome import Habits, breaches, read_tables, records_of, tables_of, write_tables
from radfoundry.formats.radgenome import paths as P
from radfoundry.formats.radgenome.as_records import report_of, same_text, sentences_of
from radfoundry.formats.radgenome.tables import (
    AbnormalityRow,
    PresenceRow,
    RadGenome,
    ReportRow,
    SizeRow,
    joined,
    listed,
    mask_folder,
    split_of_volume,
    volume_folder,
)
from radfoundry.formats.radgenome.volumes import identity_bytes, preprocessing, read_mask, read_volume, volume_mm3
from radfoundry.geometry import Grid

VOLUME = "valid_53_a_1.nii.gz"
HEART = ["heart", "heart/heart", "heart/heart/heart tissue"]


@pytest.fixture(scope="module")
def published(shared_data: Path) -> RadGenome:
    return read_tables(shared_data / "radgenome")


def cells(data: RadGenome, table: str) -> dict[str, str]:
    return {row.anatomy: row[2] for row in getattr(data, table)}


def answers(data: RadGenome) -> dict[tuple[str, str], str]:
    return {(row.anatomy, row.presence): row.finding for row in data.vqa_presence}


# ---- paths


def test_every_region_of_ours_stands_at_published_paths() -> None:
    known = set(P.every_path())
    for region in anatomy.regions():
        assert P.paths_of_region(region.name) <= known, region.name
        assert P.paths_of_region(region.name), region.name


def test_nearest_paths_name_regions_and_paths_that_exist_and_are_needed() -> None:
    for region, path in P._special().items():
        assert anatomy.region(region).name == region
        assert path in P.every_path()
        assert region not in P._by_region()


def test_rg_t18_ancestors_come_with_a_path_and_twins_with_each_other() -> None:
    """RG-T18: all ancestors emitted; twins identical."""
    lobe = P.paths_of_region("left lung lower lobe")
    assert lobe == {
        "lung", "lung/lung", "lung/lung/left lung", "lung/lung/lung lower lobe",
        "lung/lung/left lung/left lung lower lobe", "lung/lung/lung lower lobe/left lung lower lobe",
    }  # fmt: skip
    assert P.twins_of("bone/bone/rib/left rib/left rib 4") == ("bone/bone/rib/rib 4/left rib 4",)
    assert P.twins_of("lung/lung") == ()


def test_rg_t18_the_aorta_is_in_two_places_in_the_published_habit_alone() -> None:
    """RG-T18: aorta rows identical under mediastinum and abdomen (compat only)."""
    assert "abdomen/abdomen/aorta" not in P.paths_of_region("thoracic aorta")
    assert "mediastinum/aorta" not in P.paths_of_region("abdominal aorta")
    both = {"abdomen/abdomen/aorta", "mediastinum/aorta"}
    assert both <= P.paths_of_region("thoracic aorta", as_published=True)
    assert both <= P.paths_of_region("abdominal aorta", as_published=True)


def test_rg_t20_lingula_and_middle_lobe() -> None:
    """RG-T20: lingula under the left upper lobe; the middle lobe is lost in the published habit."""
    assert "lung/lung/left lung/left lung upper lobe" in P.paths_of_region("left lung lingula")
    middle = "lung/lung/right lung/right lung middle lobe"
    assert middle in P.paths_of_region("right lung middle lobe")
    assert P.paths_of_region("right lung middle lobe", as_published=True) == {
        "lung",
        "lung/lung",
        "lung/lung/right lung",
    }


# ---- the published files


def test_the_published_tables_keep_the_row_logic(published: RadGenome) -> None:
    """RG-T18, RG-T22, RG-T23 on 57,000 rows: nothing but the known contradictions."""
    found = Counter(breach.rule for breach in breaches(published, as_published=True))
    assert found == {"contradiction": 52}
    assert len(published.vqa_abnormality) == 20156


def test_the_published_tables_come_back_as_they_went_out(published: RadGenome, tmp_path: Path) -> None:
    part = RadGenome(**{name: rows[:500] for name, rows in vars(published).items()})
    write_tables(part, tmp_path)
    again = read_tables(tmp_path)
    assert {name: Counter(rows) for name, rows in vars(again).items()} == {
        name: Counter(rows) for name, rows in vars(part).items()
    }


def test_published_rows_become_records_whose_samples_say_the_same(published: RadGenome) -> None:
    volume = published.vqa_presence[0].volume
    part = RadGenome(vqa_presence=tuple(r for r in published.vqa_presence if r.volume == volume))
    rows = records_of(part)
    assert len(rows["samples"]) == len(part.vqa_presence)
    assert {s.task for s in rows["samples"]} == {"presence"}
    assert rows["samples"][0].turns[1].text in ("Yes", "No")
    assert rows["studies"][0].split == "train"


def test_published_reports_become_sentences_tied_to_regions(published: RadGenome) -> None:
    volume = "valid_1001_a_1.nii.gz"
    part = RadGenome(region_report=tuple(r for r in published.region_report if r.volume == volume))
    rows = records_of(part)
    names = {link.name for link in rows["links"]}
    assert names == {P.region_of_path(row.anatomy) for row in part.region_report}
    assert all(rows["reports"][0].text[s.start : s.end] == s.text for s in rows["sentences"])


def test_rg_t16_the_order_in_a_row_does_not_count(published: RadGenome) -> None:
    """RG-T16: rows are compared as multisets of sentences."""
    row = next(r for r in published.region_report if len(sentences_of(r.sentence)) > 3)
    turned = " ".join(reversed(sentences_of(row.sentence)))
    assert turned != row.sentence
    assert same_text(row.sentence, turned)
    assert not same_text(row.sentence, f"{turned} {sentences_of(turned)[0]}")


def test_rg_t36_a_sentence_in_two_rows_is_in_the_report_once() -> None:
    """RG-T36: the concatenated reference is de-duplicated."""
    both = "Heart and mediastinal structures are normal."
    rows = {"heart": both, "mediastinum": f"{both} No mass.", "heart/heart": both}
    assert report_of(rows) == f"{both} No mass."
    assert report_of({"": "All of it.", **rows}) == "All of it."


def test_readers_take_the_last_row_of_a_path() -> None:
    rows = (ReportRow(VOLUME, "lung", "First."), ReportRow(VOLUME, "lung", "Last."))
    assert RadGenome(region_report=rows).reports() == {VOLUME: {"lung": "Last."}}


# ---- a corpus as tables


def test_rg_t21_a_region_that_is_merely_normal_has_no_question_row() -> None:
    """RG-T21."""
    data = tables_of(corpus_of(Told("Trachea is open.", ["trachea"])))
    assert cells(data, "region_report")["trachea and bronchie/trachea"] == "Trachea is open."
    assert not data.vqa_abnormality
    assert not data.vqa_presence


def test_rg_t22_negatives_are_denied_phrases_and_each_path_has_one_abnormality_row() -> None:
    """RG-T22."""
    told = [Told("No mass is seen in the lungs.", ["left lung", "right lung"], [("lung mass", "absent")]),
            Told("There is a nodule in the right upper lobe.", ["right lung upper lobe"], [("lung nodule", "present")])]  # fmt: skip
    data = tables_of(corpus_of(*told))
    assert cells(data, "vqa_abnormality")["lung"] == "lung nodule"
    assert cells(data, "vqa_abnormality")["lung/lung/left lung"] == "no findings"
    assert answers(data)["lung", "No."] == "lung mass"
    assert ("lung/lung/right lung/right lung upper lobe", "No.") not in answers(data)
    assert breaches(data) == []


def test_rg_t23_location_rows_are_the_abnormality_rows_that_are_not_empty() -> None:
    """RG-T23."""
    told = [Told("Cyst in the left kidney.", ["left kidney"], [("kidney cyst", "present")]),
            Told("No effusion.", ["pleura"], [("pleural effusion", "absent")])]  # fmt: skip
    data = tables_of(corpus_of(*told))
    assert data.vqa_location == tuple(r for r in data.vqa_abnormality if r.abnormality != "no findings")
    assert "pleura" in cells(data, "vqa_abnormality")


def test_rg_t8_the_pericardial_defect_is_off_unless_asked_for() -> None:
    """RG-T8: flag-gated, off by default."""
    corpus = corpus_of(
        Told("Pericardial effusion-thickening was not observed.", ["pericardium"],
             [("pericardial effusion", "absent"), ("pericardial thickening", "absent")])
    )  # fmt: skip
    right, published = tables_of(corpus), tables_of(corpus, Habits(as_published=True, pericardial_defect=True))
    assert not [row for row in right.vqa_presence if row.presence == "Yes."]
    assert {path for path, answer in answers(right) if answer == "No."} == set(HEART)
    assert {path: found for (path, answer), found in answers(published).items() if answer == "Yes."} == dict.fromkeys(
        HEART, "pericardial effusion"
    )
    other = Told(
        "Pericardial thickening-effusion was not detected.", ["pericardium"], [("pericardial effusion", "absent")]
    )
    assert not [r for r in tables_of(corpus_of(other), Habits(True, True)).vqa_presence if r.presence == "Yes."]


def test_rg_t17_an_impression_gives_disorders_and_no_region_rows() -> None:
    """RG-T17."""
    data = tables_of(corpus_of(Told("Emphysema in both lungs.", ["lung"], [("emphysema", "present")], "impression")))
    assert not data.region_report
    assert not data.vqa_presence
    assert data.case_disorders[0].disorders == "emphysema"


def test_rg_t19_both_sides_are_one_node_in_the_published_habit() -> None:
    """RG-T19."""
    corpus = corpus_of(Told("Nodules in both lower lobes.", ["left lung lower lobe", "right lung lower lobe"],
                            [("lung nodule", "present")]))  # fmt: skip
    sided = {path for path in cells(tables_of(corpus), "vqa_abnormality") if "left" in path or "right" in path}
    assert len(sided) == 6
    assert set(cells(tables_of(corpus, Habits(as_published=True)), "vqa_abnormality")) == {
        "lung", "lung/lung", "lung/lung/lung lower lobe",
    }  # fmt: skip


def test_what_is_affirmed_and_denied_of_one_place_is_asked_nowhere() -> None:
    told = [Told("Nodule in the left lung.", ["left lung"], [("lung nodule", "present")]),
            Told("No nodule in the left lung.", ["left lung"], [("lung nodule", "absent")]),
            Told("No nodule in the right lung.", ["right lung"], [("lung nodule", "absent")])]  # fmt: skip
    data = tables_of(corpus_of(*told))
    assert ("lung/lung/left lung", "Yes.") not in answers(data)
    assert answers(data)["lung/lung/right lung", "No."] == "lung nodule"
    assert breaches(data) == []
    both = tables_of(corpus_of(*told), Habits(as_published=True))
    assert "contradiction" in {breach.rule for breach in breaches(both)}


def test_sizes_stand_below_the_head_in_the_report_s_own_words() -> None:
    corpus = corpus_of(Told("A 6x4 mm nodule in the left lung.", ["left lung"], [("lung nodule", "present")], size="6x4 mm"))  # fmt: skip
    data = tables_of(corpus)
    assert {row.anatomy: row.size for row in data.vqa_size} == {"lung/lung": "6x4 mm", "lung/lung/left lung": "6x4 mm"}
    assert breaches(data) == []


def test_what_a_corpus_says_survives_the_way_out_and_back(tmp_path: Path) -> None:
    told = [Told("A 6x4 mm nodule is seen in the left lung.", ["left lung"], [("lung nodule", "present")], size="6x4 mm"),
            Told("No pleural effusion.", ["pleura"], [("pleural effusion", "absent")]), Told("Heart is normal", ["heart"])]  # fmt: skip
    write_tables(tables_of(corpus_of(*told)), tmp_path)
    rows = records_of(read_tables(tmp_path))
    assert [s.text for s in rows["sentences"]] == [
        "A 6x4 mm nodule is seen in the left lung.", "No pleural effusion.", "Heart is normal.",
    ]  # fmt: skip
    assert {(f.concept, f.presence) for f in rows["findings"]} == {
        ("lung nodule", "present"),
        ("pleural effusion", "absent"),
    }
    assert {link.name for link in rows["links"]} == {"left lung", "pleura", "heart"}


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
FINDING = st.text("abcdefg -", min_size=1, max_size=12).map(str.strip).filter(lambda t: t and t != "no findings")
PATH = st.sampled_from(P.every_path())
NAME = st.builds(
    "{}_{}_{}_1.nii.gz".format, st.sampled_from(["train", "valid"]), st.integers(1, 9), st.sampled_from("ab")
)
ROWS = st.builds(
    RadGenome,
    st.lists(st.builds(ReportRow, NAME, PATH, TEXT)).map(tuple),
    st.lists(st.builds(PresenceRow, NAME, PATH, TEXT, st.sampled_from(["Yes.", "No."]))).map(tuple),
    st.lists(st.builds(AbnormalityRow, NAME, PATH, TEXT)).map(tuple),
    st.just(()),
    st.lists(st.builds(SizeRow, NAME, PATH, TEXT, TEXT)).map(tuple),
).filter(lambda data: data.volumes)


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_any_rows_survive_the_way_to_files_and_back(tmp_path_factory: pytest.TempPathFactory, data: RadGenome) -> None:
    folder = tmp_path_factory.mktemp("rows")
    write_tables(data, folder)
    again = read_tables(folder)
    assert {n: Counter(rows) for n, rows in vars(again).items()} == {n: Counter(rows) for n, rows in vars(data).items()}


@given(st.lists(FINDING, unique=True, max_size=5))
def test_a_comma_list_is_read_as_it_was_joined(findings: list[str]) -> None:
    assert list(listed(joined(findings))) == findings


@given(
    st.lists(st.tuples(st.sampled_from(["left lung", "lung", "pleura", "aorta", "left kidney", "left rib 4", "pericardium"]),
                       st.sampled_from(["lung nodule", "pleural effusion", "cyst"]),
                       st.sampled_from(["present", "absent", "uncertain"])), max_size=8)
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_statements_keep_the_row_logic(said: list[tuple[str, str, str]]) -> None:
    told = [Told(f"Sentence {n}.", [place], [(concept, presence)]) for n, (place, concept, presence) in enumerate(said)]
    assert breaches(tables_of(corpus_of(*told))) == []


# ---- names


def test_rg_t33_names_of_volumes_masks_and_regions(tmp_path: Path) -> None:
    """RG-T33: the volume's column has .nii.gz, the mask folder has not and begins with seg_; "bronchie" stays."""
    assert volume_folder(VOLUME) == "valid_preprocessed/valid_53/valid_53a"
    assert mask_folder(VOLUME, "region") == "valid_region_mask/seg_valid_53_a_1"
    assert "trachea and bronchie/bronchie" in P.paths_of_region("bronchi")
    assert split_of_volume(VOLUME) == "validation"
    with pytest.raises(UnreadableError, match="is no RadGenome volume"):
        split_of_volume("../../etc.nii.gz")


def test_a_folder_without_tables_is_wrong_use_and_a_short_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no RadGenome tables"):
        read_tables(tmp_path)
    (tmp_path / "train_vqa_size.csv").write_text("Volumename,Anatomy,Abnormality,Size\ntrain_1_a_1.nii.gz,lung\n")
    with pytest.raises(UnreadableError, match="line 2 of train_vqa_size"):
        read_tables(tmp_path)


# ---- volumes and masks


def put_volume(folder: Path, array: np.ndarray) -> None:
    (folder / volume_folder(VOLUME)).mkdir(parents=True)
    (folder / volume_folder(VOLUME) / VOLUME).write_bytes(identity_bytes(array))


def put_mask(folder: Path, kind: str, name: str, mask: np.ndarray) -> None:
    place = folder / mask_folder(VOLUME, kind)
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.nii.gz").write_bytes(identity_bytes(mask.astype(np.uint8)))


def test_a_volume_comes_back_in_canonical_orientation(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    put_volume(tmp_path, array)
    pixels, grid = read_volume(tmp_path, VOLUME, (3.0, 1.0, 1.0))
    np.testing.assert_array_equal(pixels, array)
    assert (grid.spacing, grid.unit) == ((3.0, 1.0, 1.0), "mm")


def test_nibabel_sees_a_right_front_up_volume_with_an_identity_affine(tmp_path: Path) -> None:
    nib = pytest.importorskip("nibabel")
    array = np.zeros((2, 3, 4), np.int16)
    array[1, 0, 3] = 7  # head, front, left
    (tmp_path / "v.nii.gz").write_bytes(identity_bytes(array))
    image = nib.load(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(image.affine, np.eye(4))
    assert image.get_fdata()[0, 2, 1] == 7


def test_rg_t30_nothing_is_measured_on_an_identity_affine_unless_the_spacing_is_supplied(tmp_path: Path) -> None:
    """RG-T30."""
    put_volume(tmp_path, np.ones((2, 3, 4), np.int16))
    mask = np.ones((2, 3, 4), bool)
    with pytest.raises(GeometryError, match="nothing can be measured"):
        volume_mm3(mask, read_volume(tmp_path, VOLUME)[1])
    assert volume_mm3(mask, read_volume(tmp_path, VOLUME, (3.0, 1.0, 1.0))[1]) == 72


def test_rg_t29_a_mask_of_zeros_is_an_absent_structure_and_no_crash(tmp_path: Path) -> None:
    """RG-T29."""
    put_volume(tmp_path, np.ones((2, 3, 4), np.int16))
    put_mask(tmp_path, "anatomy", "left breast", np.zeros((2, 3, 4)))
    found = read_mask(tmp_path, VOLUME, "breast/breast/left breast")
    assert (found.how, found.absent, found.mask.shape) == ("anatomy", True, (2, 3, 4))


def test_masks_are_looked_up_by_node_then_by_head_then_everywhere(tmp_path: Path) -> None:
    put_volume(tmp_path, np.ones((2, 3, 4), np.int16))
    head = np.zeros((2, 3, 4))
    head[0] = 1
    put_mask(tmp_path, "region", "lung", head)
    assert read_mask(tmp_path, VOLUME, "lung/lung/left lung").how == "region"
    assert read_mask(tmp_path, VOLUME, "heart").how == "whole"
    assert read_mask(tmp_path, VOLUME, "others/larynx").mask.all()
    put_mask(tmp_path, "anatomy", "left lung", np.zeros((9, 9, 9)))
    with pytest.raises(MismatchError, match="differ in shape"):
        read_mask(tmp_path, VOLUME, "lung/lung/left lung")


def test_preprocessing_is_three_millimetres_by_one_cropped_to_what_is_not_zero() -> None:
    pixels = np.zeros((6, 20, 20), np.int16)
    pixels[1:4, 5:15, 5:10] = 100
    view = preprocessing(pixels, Grid.axial((6, 20, 20), (3.0, 2.0, 2.0)))
    assert view.target.spacing == (3.0, 1.0, 1.0)
    assert 3 <= view.target.shape[0] <= 5
    assert view.target.shape[1] < 30
    assert float(view.pixels(pixels).max()) == 100


# ---- CT-RATE


FACTS = VolumeFacts("train_1_a_1.nii.gz", 1.0, -1024.0, (1.5, 0.7, 0.7))


def test_rg_t31_a_second_rescaling_is_found() -> None:
    """RG-T31: values below -2000 after rescaling what is in HU already."""
    hu = np.array([-1000, -900, 40, 1000], np.int16)
    np.testing.assert_array_equal(to_hu(hu + 1024, FACTS), hu)
    for intercept in (-1024.0, -8192.0):
        with pytest.raises(MismatchError, match="in HU already"):
            to_hu(hu, FACTS._replace(intercept=intercept))


def test_rg_t32_an_intercept_of_minus_8192_is_clipped_to_air() -> None:
    """RG-T32: padding of raw zero becomes -1024, tissue its HU."""
    raw = np.array([0, 0, 7192, 8232], np.uint16)
    np.testing.assert_array_equal(to_hu(raw, FACTS._replace(intercept=-8192.0)), [-1024, -1024, -1000, 40])


def test_rg_t34_a_volume_without_spacing_is_named(tmp_path: Path) -> None:
    """RG-T34."""
    header = "VolumeName,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing\n"
    path = tmp_path / "meta.csv"
    path.write_text(header + 'train_1_a_1.nii.gz,1,-1024,"[0.7, 0.8]",1.5\ntrain_11755_a_3.nii.gz,1,-1024,,\n')
    whole, without = read_metadata(path)
    assert whole.spacing() == (1.5, 0.8, 0.7)
    with pytest.raises(GeometryError, match="train_11755_a_3"):
        without.spacing()


def test_the_published_metadata_is_read(shared_data: Path) -> None:
    path = shared_data / "ctrate" / "metadata_valid_head.csv"
    rows = list(read_metadata(path))
    assert len(rows) == 200
    assert {row.intercept for row in rows} <= {-1024.0, -8192.0}
    assert all(row.spacing()[0] > 0 for row in rows)
