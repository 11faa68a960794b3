"""Faults of published scorers, one test each: what they say, and what is right.

The numbers are those of the project's list of twenty-two scoring faults; the names in capitals are traps of the
descriptions of the five published systems.
"""

from __future__ import annotations

import numpy as np
import pytest
from metric_samples import ALL_METRICS, BagEmbedder

from radfoundry.errors import MismatchError
from radfoundry.metrics import (
    BertScore,
    BoxIoU,
    Choice,
    ChoiceAccuracy,
    Cider,
    ClosedAccuracy,
    Dice,
    ExactMatch,
    JudgedErrors,
    Statement,
    StatementF1,
    TokenOverlap,
    box_iou,
    distinct_sentences,
    find_boxes,
    parse_box,
    parse_choice,
    parse_closed,
    parse_judge_score,
    parse_judgement,
)
from radfoundry.metrics.bleu import Bleu
from radfoundry.metrics.published import Published, green, llava_med, m3d, medevalkit, vila_m3

ORGANS = ("liver", "spleen", "kidney", "pancreas")
NORMAL_VERDICT = "[Clinically Significant Errors]:\nNo errors\n\n[Matched Findings]:\nNo matched findings"


def test_fault_01_m3d_iou_divides_by_the_enclosing_box() -> None:
    """Also M3D section 6 a and M3D-T38."""
    first, beside, diagonal, nested = (
        (0, 0, 0, 0.4, 0.4, 0.4),
        (0, 0, 0.2, 0.4, 0.4, 0.6),
        (0.2,) * 3 + (0.6,) * 3,
        (0.1,) * 3 + (0.3,) * 3,
    )
    assert m3d.box_iou(first, beside) == pytest.approx(1 / 3, abs=1e-4)
    assert box_iou(first, beside) == pytest.approx(1 / 3)
    assert m3d.box_iou(first, diagonal) == pytest.approx(0.008 / 0.216, abs=1e-4)
    assert box_iou(first, diagonal) == pytest.approx(0.008 / 0.12)
    assert m3d.box_iou(first, nested) == pytest.approx(float(box_iou(first, nested)), abs=1e-4)


def test_fault_02_m3d_epsilon_halves_a_perfect_small_box() -> None:
    small, larger = (0.1,) * 3 + (0.11,) * 3, (0.1,) * 3 + (0.13,) * 3
    assert m3d.box_iou(small, small) == pytest.approx(0.50, abs=0.005)
    assert m3d.box_iou(larger, larger) == pytest.approx(0.96, abs=0.005)
    assert box_iou(small, small) == pytest.approx(1)
    assert box_iou(larger, larger) == pytest.approx(1)


def test_fault_03_m3d_boxes_of_thin_structures_have_no_volume() -> None:
    """Also M3D-T38: a one-voxel box."""
    sheet = np.zeros((8, 10, 12), dtype=bool)
    sheet[3, 2:6, 2:6] = True
    published = m3d.mask_box(sheet)
    assert published[0] == published[3] == 3 / 8
    assert m3d.box_iou(published, published) == 0
    assert box_iou((3, 2, 2, 4, 6, 6), (3, 2, 2, 4, 6, 6)) == 1


@pytest.mark.parametrize(
    "text", ["[0.1,0.2,0.3,0.4,0.5,0.6]", "[0.1, 0.2, 0.3, 0.4, 0.5, 1.]", "(.1; .2; .3; .4; .5; .6)"]
)
def test_fault_04_m3d_box_parser_wants_one_comma_and_one_blank(text: str) -> None:
    """Also M3D-T38: written as -1, such an answer ruins the column's mean."""
    assert m3d.extract_box(text) is None
    assert m3d.box_score(text, "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]") == -1
    assert parse_box(text) is not None


def test_fault_05_m3d_dice_is_soft_and_an_empty_truth_scores_zero() -> None:
    """Also M3D section 6 c and M3D-T39."""
    unsure = np.full((1, 10, 10), 0.1)  # every voxel 52 %: the mask is full, the soft score is not
    full, empty = np.ones((1, 10, 10)), np.zeros((1, 10, 10))
    assert m3d.soft_dice(unsure, full) < 0.7
    assert m3d.soft_dice(np.full((1, 10, 10), -50.0), empty) == 0
    metric = Dice()
    metric.update(1 / (1 + np.exp(-unsure)), full)
    metric.update(empty, empty)
    assert metric.per_sample() == [1, 1]
    assert metric.counts["both_empty"] == 1


def test_fault_05_m3d_broadcasts_a_one_voxel_truth() -> None:
    """Also M3D-T5."""
    assert m3d.soft_dice(np.zeros((1, 100)), np.ones((1, 1))) > 0
    with pytest.raises(MismatchError, match="mask of shape"):
        Dice().update(np.zeros((1, 100)), np.ones((1, 1)))


def test_fault_07_m3d_closed_questions_by_substring() -> None:
    """Also M3D section 6 d and M3D-T40."""
    for everything in ("A. B. C. D.", "A. liver B. spleen C. kidney D. pancreas"):
        assert m3d.closed_is_right(everything, "C") == 1
        assert parse_choice(everything, ORGANS) is None
    for right in ("C", "(C)", "C)", "c. kidney"):
        assert m3d.closed_is_right(right, "C") == 0
        assert parse_choice(right, ORGANS) == "C"
    assert m3d.closed_is_right("Seen on CTA. Kidney.", "A") == 1
    assert parse_choice("Seen on CTA. Kidney.", ORGANS) == "C"


def test_fault_09_m3d_judge_score_without_decimals_is_lost() -> None:
    """Also M3D section 6 h and M3D-T44."""
    assert m3d.judge_score("Score: 85.0") == 85
    assert m3d.judge_score("Score: 80") is None
    assert parse_judge_score("Score: 80") == 80


def test_fault_10_green_gives_zero_without_a_matched_finding() -> None:
    assert green.green(NORMAL_VERDICT) == 0
    metric = JudgedErrors()
    metric.update(NORMAL_VERDICT, None)
    assert metric.result().value is None
    assert metric.counts["undefined"] == 1


def test_fault_10_green_takes_an_unreadable_verdict_for_zero() -> None:
    assert green.green("The model refused.") == 0
    metric = JudgedErrors()
    metric.update("The model refused.", None)
    assert metric.result().value is None
    assert metric.counts["unparsable"] == 1
    assert metric.unparsed == ["The model refused."]


def test_fault_11_green_reads_nodule_as_no() -> None:
    verdict = "[Clinically Significant Errors]:\nNodule size: (a) False report: 3. x\n\n[Matched Findings]:\n1. heart"
    assert green.green(verdict) == 1  # three errors vanish
    assert parse_judgement(verdict) is None
    on_lines = verdict.replace("Nodule size: ", "Nodule size:\n")
    assert green.green(on_lines) == 1
    assert parse_judgement(on_lines) == (1, 3)


@pytest.mark.parametrize("word", ["nodule", "normal", "abnormal", "diagnosis", "not"])
def test_fault_12_medevalkit_finds_no_inside_words(word: str) -> None:
    assert medevalkit.yes_no_is_right(f"Yes, {word}", "yes") == 0
    assert parse_closed(f"Yes, {word}") == "yes"
    assert medevalkit.yes_no_is_right(f"{word} heart", "no") == 1
    assert parse_closed(f"{word} heart") is None


def test_fault_13_medevalkit_gives_points_to_garbage() -> None:
    assert medevalkit.choice_is_right("@@@", "A", ORGANS) == 1
    metric = ChoiceAccuracy()
    metric.update("@@@", Choice("A", ORGANS))
    assert metric.result().value == 0
    assert metric.counts["unparsable"] == 1


def test_fault_14_an_unreadable_choice_is_never_drawn() -> None:
    """VLMEvalKit draws an option at random, so a broken model scores chance and scores move."""
    values = []
    for _ in range(3):
        metric = ChoiceAccuracy()
        for at in range(200):
            metric.update("error: connection lost", Choice("ABCD"[at % 4], ORGANS))
        values.append(metric.result().value)
    assert values == [0, 0, 0]


def test_fault_15_every_metric_states_its_direction_and_keeps_it() -> None:
    """RadCliQ is better low, 1/RadCliQ is better high, and both were printed under one name."""
    lower = {samples.make().name for samples in ALL_METRICS if samples.make().better == "lower"}
    assert lower == {
        "size error mm", "HD95 mm, voxel surface", "ASSD mm, surfel surface", "hallucinated places", "ECE, 15 equal bins", "Brier",
    }  # fmt: skip


def test_fault_16_bertscore_rewards_a_negation_flip_and_statements_do_not() -> None:
    metric, statements = BertScore(BagEmbedder()), StatementF1()
    metric.update("there is a large pleural effusion", "there is no large pleural effusion")
    statements.update({Statement("effusion", "present")}, {Statement("effusion", "absent")})
    assert (metric.result().value or 0) > 0.8
    assert statements.result().value == 0


def test_fault_18_vila_m3_wants_equal_strings_and_hides_missing_answers() -> None:
    assert vila_m3.equal_text("Yes.", "yes") == 0
    metric = ClosedAccuracy()
    metric.update("Yes.", "yes")
    metric.update(None, "no")
    assert metric.result().value == 0.5
    assert metric.result().note == "1 missing"


def test_fault_20_the_answer_is_yes_is_a_yes() -> None:
    """lmms-eval keeps the benchmark's own matching on purpose: so both are offered, and named."""
    published, native = Published("equal text", vila_m3.equal_text), ClosedAccuracy()
    for metric in (published, native):
        metric.update("The answer is yes", "yes")
    assert (published.result().value, native.result().value) == (0, 1)
    assert published.name.endswith("(published)")


def test_fault_21_what_a_reading_rule_fails_on_is_counted_and_shown() -> None:
    """One regex cost a model nine points unseen (VLMEvalKit MM-Math)."""
    metric = ChoiceAccuracy()
    metric.update(r"$\boxed{C}$ or $\boxed{D}$", Choice("C", ORGANS))
    assert "1 unparsable" in metric.result().note
    assert metric.unparsed == [r"$\boxed{C}$ or $\boxed{D}$"]


def test_m3d_6b_corners_in_the_wrong_order_and_absence() -> None:
    """Published: corners are not checked, negatives are -1 either way."""
    metric = BoxIoU()
    metric.update((0.9, 0.2, 0.3, 0.4, 0.5, 0.6), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    metric.update((), ())
    assert metric.per_sample() == [0, 1]
    assert metric.counts["impossible_box"] == 1
    assert m3d.box_score("there is none", "no such organ here") == -1


def test_m3d_6e_bleu_of_an_empty_text() -> None:
    """Also M3D-T42."""
    with pytest.raises(ZeroDivisionError):
        m3d.bleu1("", "liver")
    metric = Bleu(1)
    metric.update("", "liver")
    assert metric.result().value == 0


def test_m3d_6l_exact_match_that_is_not_exact() -> None:
    assert m3d.exact_match("The answer is not liver", "liver") == 1
    assert ExactMatch().score("The answer is not liver", "liver") == 0


def test_m3d_t38_the_first_of_several_boxes_wins_and_any_value_passes() -> None:
    text = "[-0.1, 0.2, 0.3, 0.4, 0.5, 1.2] and [0.5, 0.5, 0.5, 0.6, 0.6, 0.6]"
    assert m3d.extract_box(text) == (-0.1, 0.2, 0.3, 0.4, 0.5, 1.2)
    assert parse_box(text) is None
    assert len(find_boxes(text)) == 2


@pytest.mark.parametrize(
    ("said", "true"),
    [
        ("yes, there is a nodule", "no"),
        ("normal heart", "no"),
        ("no, not yes", "yes"),
        ("infarct", "ct"),
        ("cleft", "left"),
    ],
)
def test_mt_t18_closed_answers_by_substring(said: str, true: str) -> None:
    """1 as published, 0 here."""
    assert llava_med.substring_hit(said, true) == 1
    if true in ("yes", "no"):
        assert parse_closed(said) != true
    else:
        assert ExactMatch().score(said, true) == 0


def test_mt_t18_yes_and_no_is_right_for_neither() -> None:
    assert llava_med.substring_hit("yes and no", "yes") == llava_med.substring_hit("yes and no", "no") == 1
    assert parse_closed("yes and no") is None


def test_mt_t19_repetition_earns_recall() -> None:
    """0.75 as published, 0.5 by counting no word more often than both say it."""
    assert llava_med.open_recall("left left left", "left lung") == 0.75
    assert TokenOverlap("recall").score("left left left", "left lung") == 0.5


def test_mt_t20_missing_answers_leave_the_published_denominator() -> None:
    published, native = Published("closed", llava_med.substring_hit, missing=None), ClosedAccuracy()
    for metric in (published, native):
        metric.update("yes", "yes")
        metric.update(None, "no")
    assert (published.result().value, published.result().n) == (1, 1)
    assert (native.result().value, native.result().n) == (0.5, 2)
    assert native.counts["missing"] == 1


def test_medtrinity_6_answers_that_normalise_to_nothing() -> None:
    for word in ("a", "the"):
        assert llava_med.open_recall(word, word) == 0
        assert TokenOverlap("f1").score(word, word) == 1


def test_medtrinity_6_joining_depends_on_the_rest_of_the_text() -> None:
    assert llava_med.normalise("well-defined mass") == "well defined mass"
    assert llava_med.normalise("mass - well-defined") == "mass welldefined"
    assert TokenOverlap("f1").score("mass - well-defined", "well-defined mass") == 1


def test_radbench_closed_answers_have_a_parser_and_a_count_of_the_rest() -> None:
    """RadFM section 6: no parser was published; the share that is neither yes nor no is reported."""
    metric = ClosedAccuracy()
    for said in ("Yes.", "No", "It is a fracture"):
        metric.update(said, "yes")
    assert metric.counts["unparsable"] / 3 == pytest.approx(1 / 3)


def test_rfm_t41_a_failing_sample_does_not_vanish() -> None:
    metric = Cider()
    metric.update("no pleural effusion was seen", "no pleural effusion was seen")
    metric.update(None, "a nodule")
    score = metric.result()
    assert (score.value, score.n) == (5.0, 2)


def test_rg_t36_a_concatenated_reference_is_scored_without_its_repetitions() -> None:
    rows = ["The heart is normal.", "The lungs are clear.", "The heart is normal."]
    metric = Bleu(4)
    metric.update("The heart is normal. The lungs are clear.", distinct_sentences(rows))
    assert metric.result().value == pytest.approx(1)
