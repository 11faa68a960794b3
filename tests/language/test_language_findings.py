"""Statements of a sentence: scope in both directions, uncertainty, time, side, count, size, place."""

from __future__ import annotations

import pytest

from radfoundry.language import Statement, find_findings


def one(sentence: str, concept: str) -> Statement:
    (statement,) = [made for made in find_findings(sentence) if made.concept == concept]
    return statement


def presences(sentence: str) -> dict[str, str]:
    return {made.concept: made.presence for made in find_findings(sentence)}


@pytest.mark.parametrize(
    ("sentence", "concept"),
    [
        ("No pleural effusion was detected.", "pleural effusion"),
        ("Pleural effusion was not observed.", "pleural effusion"),
        ("No nodule or mass is seen in the lungs.", "lung mass"),
        ("The lungs are clear of consolidation, pneumothorax or effusion.", "pneumothorax"),
        ("Neither consolidation nor pneumothorax is present.", "pneumothorax"),
        ("Negative for pneumothorax.", "pneumothorax"),
        ("The heart is not markedly enlarged.", "cardiomegaly"),
        ("Cardiomegaly without pulmonary edema.", "pulmonary edema"),
        ("Pneumothorax was ruled out.", "pneumothorax"),
        ("Pneumothorax: none.", "pneumothorax"),
        ("Pleural effusion: absent", "pleural effusion"),
    ],
)
def test_a_negation_reaches_forward_and_backward(sentence: str, concept: str) -> None:
    assert one(sentence, concept).presence == "absent"


@pytest.mark.parametrize(
    ("sentence", "absent", "present"),
    [
        ("No active infiltration was seen, and a few nodules are observed.", "infiltration", "lung nodule"),
        (
            "There is no wall thickening in the esophagus and there is a mild hiatal hernia.",
            "esophageal thickening",
            "hiatal hernia",
        ),
        (
            "Pericardial effusion was not observed, but there is pleural effusion.",
            "pericardial effusion",
            "pleural effusion",
        ),
        ("There is atelectasis and pneumothorax was not seen.", "pneumothorax", "atelectasis"),
    ],
)
def test_rg_t25_a_mixed_sentence_denies_one_and_states_the_other(sentence: str, absent: str, present: str) -> None:
    """RG-T25."""
    said = presences(sentence)
    assert (said[absent], said[present]) == ("absent", "present")


def test_rg_t7_a_sentence_that_begins_with_pericardial_effusion_may_deny_it() -> None:
    """RG-T7."""
    said = presences("Pericardial effusion-thickening was not seen.")
    assert said == {"pericardial effusion": "absent", "pericardial thickening": "absent"}


def test_rg_t9_thickening_before_effusion_is_denied_too() -> None:
    """RG-T9."""
    said = presences("Pericardial thickening-effusion was not found.")
    assert said == {"pericardial effusion": "absent", "pericardial thickening": "absent"}


def test_rg_t6_one_negation_denies_the_effusion_of_both_places() -> None:
    """RG-T6."""
    said = presences("No pleural or pericardial effusion was found.")
    assert said == {"pleural effusion": "absent", "pericardial effusion": "absent"}


def test_rg_t12_a_space_occupying_lesion_is_denied_after_a_normal_organ() -> None:
    """RG-T12."""
    sentence = "The bilateral adrenal glands were normal and no space-occupying lesion was found."
    assert presences(sentence) == {"mass": "absent"}


def test_rg_t26_a_node_below_pathological_size_is_a_described_node_but_no_adenopathy() -> None:
    """RG-T26."""
    assert presences("Lymph nodes that did not reach pathological size were observed.") == {"lymph node": "present"}
    assert presences("There are lymph nodes with a short axis less than 1 cm.") == {"lymph node": "present"}
    assert presences("No pathological lymph nodes were detected.") == {"lymphadenopathy": "absent"}


@pytest.mark.parametrize(
    "sentence",
    [
        "The nodule observed in the previous examination was not detected.",
        "Nodule was observed in the previous examination, was not detected in the current examination.",
        "The previously seen nodule has resolved.",
        "The nodule described on the prior study is no longer seen.",
    ],
)
def test_rg_t27_what_was_there_before_and_is_not_now_has_resolved(sentence: str) -> None:
    """RG-T27."""
    nodule = one(sentence, "lung nodule")
    assert (nodule.presence, nodule.temporal) == ("absent", "resolved")


@pytest.mark.parametrize(
    ("sentence", "temporal"),
    [
        ("There is a stable nodule in the right lung.", "stable"),
        ("A newly developed consolidation is observed.", "new"),
        ("The nodule has increased compared with the previous examination.", "increased"),
        ("Pleural effusion regressed significantly in the current examination.", "decreased"),
        ("A nodule which was not observed in the previous examination is seen.", "new"),
        ("There is a density increase in the left lung.", ""),
    ],
)
def test_change_over_time_is_read_only_where_it_is_said(sentence: str, temporal: str) -> None:
    assert {made.temporal for made in find_findings(sentence)} == {temporal}


@pytest.mark.parametrize(
    "sentence",
    [
        "Possible nodule in the right lung.",
        "A nodule may be present in the right lung.",
        "A small nodule (metastasis?) is seen.",
        "Findings may represent a nodule.",
        "A nodule is suspected.",
        "Nodule cannot be excluded.",
    ],
)
def test_uncertainty_is_neither_presence_nor_absence(sentence: str) -> None:
    assert "uncertain" in presences(sentence).values()


@pytest.mark.parametrize(
    "sentence",
    [
        "Evaluate for pneumonia.",
        "It is recommended to be evaluated in terms of pneumonia.",
        "Bony overlap could obscure a nodule.",
    ],
)
def test_what_is_only_asked_for_is_no_statement(sentence: str) -> None:
    assert find_findings(sentence) == ()


@pytest.mark.parametrize(
    ("sentence", "concept"),
    [
        ("There is a nodule in the lower lobe.", "lung nodule"),
        ("A hypodense nodule is seen in the left thyroid lobe.", "thyroid nodule"),
        ("A nodule overlying the right sixth rib.", "lung nodule"),
        ("There is a mass in the liver.", "liver lesion"),
        ("An effusion was observed in the pericardial space.", "pericardial effusion"),
        ("Schmorl nodules were observed in the vertebrae.", "degenerative change"),
    ],
)
def test_a_word_means_what_its_place_makes_it(sentence: str, concept: str) -> None:
    assert concept in presences(sentence)


def test_plaques_are_of_each_vessel_that_is_named() -> None:
    assert presences("Calcified plaques in the aortic arch, descending aorta, and coronary arteries.").keys() == {
        "arterial calcification",
        "coronary calcification",
    }
    assert presences("Calcific atheroma plaques are seen in the coronary arteries.").keys() == {
        "coronary calcification"
    }


def test_a_look_that_the_sentence_explains_is_no_opacity_of_its_own() -> None:
    assert presences("Density increases compatible with sequelae are seen in both lungs.").keys() == {
        "fibrotic sequela"
    }
    assert presences("Density increases are seen in both lungs.").keys() == {"lung density"}


@pytest.mark.parametrize(
    ("sentence", "side"),
    [
        ("Nodule in the right lung.", "right"),
        ("Bilateral pleural effusion.", "bilateral"),
        ("Nodules in the right and left lungs.", "bilateral"),
        ("Pleural effusion.", "none"),
        ("Nodule in the median part of the right breast.", "right"),
        ("Consolidation on the left side of the image.", "right"),
        ("Consolidation, viewer's right.", "left"),
        ("Consolidation on the patient's left.", "left"),
    ],
)
def test_the_side_is_the_patients(sentence: str, side: str) -> None:
    assert {made.side for made in find_findings(sentence)} == {side}


@pytest.mark.parametrize(
    ("sentence", "count"),
    [
        ("Two nodules are seen.", 2),
        ("A 5 mm nodule.", None),
        ("A nodule is seen.", 1),
        ("A few nodules.", None),
        ("3 nodules.", 3),
    ],
)
def test_a_count_is_given_only_when_it_is_a_number(sentence: str, count: int | None) -> None:
    assert one(sentence, "lung nodule").count == count


def test_a_size_belongs_to_its_finding() -> None:
    sentence = "A 5 mm nodule and a mass of 40 mm are seen in the right lung."
    assert [size.text for size in one(sentence, "lung nodule").measurements] == ["5 mm"]
    assert [size.text for size in one(sentence, "lung mass").measurements] == ["40 mm"]


def test_a_statement_is_at_its_place_in_the_sentence() -> None:
    sentence = "There is a Ground-Glass opacity."
    (made,) = find_findings(sentence)
    assert sentence[made.start : made.end] == "Ground-Glass opacity"


@pytest.mark.parametrize(
    ("sentence", "presence"),
    [
        ("Heart size is normal.", "absent"),
        ("Heart contour and size are normal.", "absent"),
        ("Normal heart size.", "absent"),
        ("Heart size is larger than normal.", "present"),
        ("The heart is enlarged.", "present"),
    ],
)
def test_a_heart_of_normal_size_is_not_enlarged(sentence: str, presence: str) -> None:
    assert one(sentence, "cardiomegaly").presence == presence


def test_the_nearest_holder_of_a_place_decides_what_a_word_means() -> None:
    assert presences("There is a 42 mm mass in the right lobe of the liver.") == {"liver lesion": "present"}
