"""Answers with known faults score what was worked out by hand: sides swapped, sentences dropped, masks and boxes moved, sizes off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_items import grey_picture

from radfoundry.evaluation.predictors.majority import Majority
from radfoundry.evaluation.reading import grounded, labels, statements
from radfoundry.evaluation.runlog import RunLog
from radfoundry.evaluation.running import run_task
from radfoundry.evaluation.tasks import Item, Reference, Task, corpus_task
from radfoundry.geometry import Box
from radfoundry.protocols import Answer, Question
from radfoundry.records import MadeBy, Part, Turn

TRUE = "There is a 5 mm nodule in the left lower lobe. No pleural effusion. The heart is enlarged. Emphysema in the right upper lobe."


class Says:
    """Answers each question with a function of its item."""

    name, made_by, looks = "says", MadeBy("says", "1"), False

    def __init__(self, items, what) -> None:
        self.items, self.what = {i.question.sample_id: i for i in items}, what

    def answer(self, questions):
        return [self.what(self.items[q.sample_id]) for q in questions]


def item(kind: str, reference: Reference, task: str = "report", shape=(12, 20, 20), name: str = "q") -> Item:
    picture = grey_picture(shape=shape, modality="CT")
    turn = Turn("user", (Part("image", ref=picture.image_id), Part("text", "Report.")))
    return Item(Question(name, "s", (turn,), (picture,), kind, (), task), reference, name)


def scores_of(items: list[Item], what, tmp_path, compat: str = "") -> dict[str, float | None]:
    result = run_task(Task("hand", "1", items, compat), Says(items, what), tmp_path, controls=())
    return {s.name.rpartition("/")[2]: s.score.value for s in result.scores}


def report(text: str, tmp_path, true: str = TRUE) -> dict[str, float | None]:
    return scores_of([item("open", Reference(true))], lambda _: Answer(text), tmp_path)


def swapped(text: str) -> str:
    return text.replace("left", "\0").replace("right", "left").replace("\0", "right")


def test_the_report_that_is_scored_holds_what_we_think() -> None:
    made = {(one.concept, one.presence, one.side) for one in statements(TRUE)}
    assert len(made) == 4
    assert ("pleural effusion", "absent", "none") in made
    assert {side for _, _, side in made} == {"left", "none", "right"}


def test_swapped_sides_cost_the_sided_statements_and_nothing_else(tmp_path) -> None:
    """Four statements, two of them sided: F 1 without sides, 2/4 with; none of the sided places is on its side."""
    scores = report(swapped(TRUE), tmp_path)
    assert scores["finding_f1"] == 1.0
    assert scores["finding_side_f1"] == pytest.approx(2 / 4)
    assert scores["right_side"] == 0.0
    assert scores["labels_ct18_f1"] == 1.0


def test_a_dropped_sentence_costs_recall_and_no_precision(tmp_path) -> None:
    """One of four statements, and one of the four places, is not said."""
    scores = report(TRUE.replace(" The heart is enlarged.", ""), tmp_path)
    assert scores["finding_recall"] == pytest.approx(3 / 4)
    assert scores["finding_precision"] == 1.0
    assert scores["finding_f1"] == pytest.approx(2 * 3 / (3 + 4))
    placed = sum(bool(s.places) for s in grounded(TRUE))
    assert scores["right_region"] == pytest.approx((placed - 1) / placed)
    assert scores["hallucinated_places"] == 0.0


def test_a_negation_flip_costs_twice(tmp_path) -> None:
    """Three of four statements agree on both sides: 3/4 each way. BLEU hardly sees it."""
    scores = report(TRUE.replace("No pleural effusion", "Large pleural effusion"), tmp_path)
    assert scores["finding_f1"] == pytest.approx(3 / 4)
    assert scores["bleu1"] > 0.9


def test_an_invented_place_is_hallucinated(tmp_path) -> None:
    """One more sentence, one more place; of the n + 1 places said one is in no sentence of the truth."""
    extra = " There is a cyst in the left kidney."
    places = sum(len(s.places) for s in grounded(TRUE + extra))
    invented = places - sum(len(s.places) for s in grounded(TRUE))
    scores = report(TRUE + extra, tmp_path)
    assert scores["hallucinated_places"] == pytest.approx(invented / places)
    assert invented >= 1


def test_the_published_labels_of_a_report_are_read_from_its_words() -> None:
    assert labels("There is cardiomegaly. No pleural effusion.", "ct-rate") == {"Cardiomegaly"}


@pytest.mark.parametrize("moved", [0, 1, 3, 10])
def test_a_cuboid_moved_sideways_scores_what_geometry_says(moved, tmp_path) -> None:
    """10 voxels wide, moved by d: Dice (10 - d)/10, IoU (10 - d)/(10 + d); the farthest fifth of the surface is d mm away."""
    mask = np.zeros((12, 20, 20), bool)
    mask[1:11, 2:12, 0:10] = True
    said = np.roll(mask, moved, axis=2)
    items = [item("mask", Reference("outlined", mask=lambda: mask), "segment")]
    scores = scores_of(items, lambda _: Answer("here", mask=said), tmp_path, "m3d")
    assert scores["dice"] == pytest.approx((10 - moved) / 10)
    assert scores["mask_iou"] == pytest.approx((10 - moved) / (10 + moved))
    assert scores["hd95_mm"] == pytest.approx(moved)  # 1 mm a voxel along x
    assert scores["m3d_soft_dice"] == pytest.approx(2 * 100 * (10 - moved) / 2001)
    if moved <= 2:
        assert scores["nsd_2mm"] == 1.0
    assert (scores["assd_mm"] == 0) == (moved == 0)


def test_no_mask_is_as_far_as_the_grid_allows_and_a_mask_of_another_shape_is_an_error(tmp_path) -> None:
    mask = np.zeros((12, 20, 20), bool)
    mask[2:4, 2:4, 2:4] = True
    items = [item("mask", Reference("outlined", mask=lambda: mask), "segment", name=n) for n in ("a", "b")]

    def what(asked: Item) -> Answer:
        return Answer("no") if asked.question.sample_id == "a" else Answer("yes", mask=np.zeros((3, 3, 3), bool))

    scores = scores_of(items, what, tmp_path)
    assert scores["dice"] == 0.0
    assert scores["nsd_2mm"] == 0.0
    assert scores["hd95_mm"] == pytest.approx(np.sqrt((12 * 3) ** 2 + 20**2 + 20**2))
    assert {r.error for r in RunLog(tmp_path).records()} == {
        "",
        "wrong mask shape: (3, 3, 3), the picture has (12, 20, 20)",
    }


def test_a_box_moved_by_half_its_width_scores_a_third_and_m3d_less(tmp_path) -> None:
    true, said = (2, 2, 0, 10, 12, 10), (2, 2, 5, 10, 12, 15)
    items = [item("box", Reference("in the box", (true,)), "rec")]
    scores = scores_of(items, lambda _: Answer("here", boxes=(Box.from_flat(said),)), tmp_path, "m3d")
    assert scores["iou"] == pytest.approx(1 / 3)
    assert scores["giou"] == pytest.approx(1 / 3)  # the hull is the union
    assert (scores["acc_at_0.25"], scores["acc_at_0.5"]) == (1.0, 0.0)
    # inclusive corners: 9 of 10 voxels wide, 4 shared of 14; and 1e-6 of the volume is added below
    shares = np.array([7 / 12, 9 / 20, 4 / 20]).round(3).prod(), np.array([7 / 12, 9 / 20, 14 / 20]).round(3).prod()
    assert scores["m3d_iou"] == pytest.approx(shares[0] / (shares[1] + 1e-6), rel=0.01)


def test_saying_that_there_is_nothing_is_right_where_nothing_is(tmp_path) -> None:
    items = [item("box", Reference("There is no spleen."), "rec")]
    assert scores_of(items, lambda _: Answer("There is none."), tmp_path)["iou"] == 1.0


def test_sizes_are_scored_in_millimetres_beside_the_median_size(tmp_path) -> None:
    """True 10, 20 and 40 mm; said 11 (within a quarter), 30 (not) and in words alone (wrong, and without an error in mm)."""
    sizes = {"a": ("10 mm", "1.1 cm"), "b": ("20 mm", "30 mm"), "c": ("40 mm", "large")}
    items = [item("open", Reference(true), "size", name=name) for name, (true, _) in sizes.items()]
    says = Says(items, lambda i: Answer(sizes[i.question.sample_id][1]))
    baselines = {"majority": Majority.of(items)}
    result = run_task(Task("hand", "1", items), says, tmp_path, controls=(), baselines=baselines)
    by_name = {s.name: s for s in result.scores}
    assert by_name["size/within_25_percent"].score.value == pytest.approx(1 / 3)
    assert by_name["size/error_mm"].score.value == pytest.approx((1 + 10) / 2)
    assert by_name["size/error_mm"].best_blind == pytest.approx((10 + 0 + 20) / 3)  # always 20 mm
    assert by_name["size/error_mm"].best_control == "median-size"
    assert by_name["size/within_25_percent"].primary


def test_swapped_sides_in_phantom_reports_score_the_share_of_sided_statements(phantom_corpora, tmp_path) -> None:
    task = corpus_task(phantom_corpora["grounded-report"], "test", tasks=("report",))
    pairs = [(statements(i.reference.text), statements(swapped(i.reference.text))) for i in task.items]
    n = sum(len(true) for true, _ in pairs)
    sided = sum(one.side in ("left", "right") for true, _ in pairs for one in true)
    assert n > 0
    says = Says(task.items, lambda i: Answer(swapped(i.reference.text)))
    result = run_task(task, says, tmp_path, controls=(), examples=0)
    by_name = {s.name: s.score.value for s in result.scores}
    assert by_name["report/finding_f1"] == pytest.approx(1.0)
    assert by_name["report/finding_side_f1"] == pytest.approx((n - sided) / n)


def test_shifted_phantom_masks_score_what_counting_gives(phantom_corpora, tmp_path) -> None:
    task = corpus_task(phantom_corpora["m3d"], "test", tasks=("segment",))
    items = [i for i in task.items if i.reference.mask and i.question.pictures[0].grid.ndim == 3][:3]
    expected = []
    for one in items:
        mask = one.reference.mask()
        inside = np.count_nonzero(mask[:, :, 2:] & mask[:, :, :-2])
        expected.append(2 * inside / (mask.sum() + mask[:, :, :-2].sum()))

    def what(asked: Item) -> Answer:
        mask = np.zeros_like(asked.reference.mask())
        mask[:, :, 2:] = asked.reference.mask()[:, :, :-2]
        return Answer("here", mask=mask)

    result = run_task(replace(task, items=items), Says(items, what), tmp_path, controls=(), examples=1)
    by_name = {s.name: s.score.value for s in result.scores}
    assert by_name["segment/dice"] == pytest.approx(np.mean(expected))
    assert by_name["segment/hd95_mm"] > 0
