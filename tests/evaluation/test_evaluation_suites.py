"""Suites other than VQA-RAD: real files where there are some, folders made in their published layout elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radfoundry.errors import UsageError
from radfoundry.evaluation.predictors.majority import Majority
from radfoundry.evaluation.predictors.text_only import TextOnly
from radfoundry.evaluation.running import run_task
from radfoundry.evaluation.suites import SUITES, open_suite
from radfoundry.evaluation.suites.radbench import PROMPTS
from radfoundry.formats.m3d.texts import kept_text
from radfoundry.protocols import Answer
from radfoundry.records import MadeBy


class Knows:
    """Answers with the truth."""

    name, made_by, looks = "knows", MadeBy("knows", "1"), False

    def __init__(self, items) -> None:
        self.truth = {i.question.sample_id: i.reference for i in items}

    def answer(self, questions):
        from radfoundry.geometry import Box

        return [
            Answer(t.text, boxes=tuple(Box.from_flat(b) for b in t.boxes), mask=t.mask() if t.mask else None)
            for t in (self.truth[q.sample_id] for q in questions)
        ]


def primary(result) -> dict[str, float | None]:
    return {s.name: s.score.value for s in result.scores if s.primary}


def published(result) -> dict[str, float | None]:
    return {s.name: s.score.value for s in result.scores if s.scorer != "native"}


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_the_same_shape(name, tmp_path) -> None:
    import importlib

    module = importlib.import_module(f"radfoundry.evaluation.suites.{name.replace('-', '_')}")
    assert name == module.NAME
    assert module.VERSION
    with pytest.raises(UsageError):
        module.load(tmp_path, "test")


def test_slake_english_questions_are_read_and_lists_may_come_in_any_order(shared_data, tmp_path) -> None:
    suite = open_suite("slake", shared_data / "slake")
    items = suite.task.items
    assert len(items) == 1061
    assert sum(i.group == "closed" for i in items) == 416
    assert len({i.image_names for i in items}) == 96
    assert "1033 in other languages are left out" in suite.task.notes[0]
    assert all(i.absent for i in items)
    assert suite.task.without_absent().items == []
    result = run_task(suite.task, Knows(items), tmp_path, controls=())
    assert set(primary(result).values()) == {1.0}
    assert result.answers == 1061


def test_pneumoniamnist_is_read_and_said_to_be_another_file(shared_data, tmp_path) -> None:
    suite = open_suite("medmnist", shared_data / "medmnist")
    assert len(suite.task.items) == 624
    assert "not the official file" in suite.task.notes[0]
    assert suite.task.items[0].question.pictures[0].load().shape == (28, 28)
    majority = Majority.of(suite.training)
    result = run_task(suite.task, majority, tmp_path, controls=())
    assert primary(result)["pneumoniamnist/accuracy"] == pytest.approx(390 / 624)


@pytest.fixture
def m3d_folder(tmp_path: Path) -> Path:
    """One case: two questions, a report, a liver, and a spleen that is not there (stored with one voxel)."""
    case = tmp_path / "cap" / "000001"
    case.mkdir(parents=True)
    volume = np.linspace(0, 1, 32 * 16 * 16, dtype=np.float32).reshape(1, 32, 16, 16)
    np.save(case / "Axial.npy", volume)
    (case / "text.txt").write_text("presentation: pain\nstudy_findings: No pleural effusion. The heart is enlarged.\n")
    (tmp_path / "M3D_Cap.json").write_text(
        json.dumps({"test": [{"image": "cap/000001/Axial.npy", "text": "cap/000001/text.txt"}]})
    )
    header = "Image Path,Text,Question Type,Question,Choice A,Choice B,Choice C,Choice D,Answer,Answer Choice"
    rows = [
        "cap/000001/Axial.npy,t,1,In which plane is it?,Axial,Coronal,Sagittal,NA,Axial,A",
        "cap/000002/Axial.npy,t,5,Where is the lesion?,Liver,Spleen,Kidney,Lung,Kidney,C",
    ]
    (tmp_path / "M3D_VQA_test.csv").write_text("\n".join([header, *rows]))
    seg = tmp_path / "M3D_Seg_npy" / "0003" / "case1"
    (seg / "masks").mkdir(parents=True)
    np.save(seg / "image.npy", volume)
    liver = np.zeros((1, 32, 16, 16), bool)
    liver[0, 4:20, 2:10, 3:9] = True
    np.save(seg / "masks" / "mask_0.npy", liver)
    np.save(seg / "masks" / "mask_1.npy", np.zeros((1, 1, 1, 1), bool))
    base = "M3D_Seg_npy/0003/case1"
    listed = [{"image": f"{base}/image.npy", "label": f"{base}/masks/mask_{k}.npy"} for k in (0, 1)]
    labels = {"0": "background", "1": "liver", "2": "spleen"}
    (seg.parent / "0003.json").write_text(json.dumps({"labels": labels, "test": listed, "train": []}))
    return tmp_path


def test_m3d_bench_is_read_and_the_truth_scores_one(m3d_folder, tmp_path) -> None:
    suite = open_suite("m3d", m3d_folder)
    result = run_task(suite.task, Knows(suite.task.items), tmp_path / "run", controls=())
    scores = primary(result)
    assert {"plane-open/exact_match", "plane-closed/accuracy", "report/finding_f1", "rec/iou", "segment/dice"} <= set(
        scores
    )
    assert set(scores.values()) == {1.0}
    assert "1 questions are about volumes" not in " ".join(suite.task.notes)
    assert "2 questions are about volumes that are absent" in suite.task.notes


def test_m3d_5c_and_t5_an_absent_class_is_asked_for_and_a_right_refusal_is_right(m3d_folder, tmp_path) -> None:
    """Published: the empty truth always scores 0, even for a correct refusal; natively it is 1, and counted."""
    suite = open_suite("m3d", m3d_folder)
    result = run_task(suite.task, Knows(suite.task.items), tmp_path / "run", controls=())
    assert published(result)["segment/m3d_soft_dice"] == pytest.approx((2 * 768 / (2 * 768 + 1)) / 2)
    assert published(result)["rec/m3d_iou"] < 1  # 1e-6 of the volume is added below
    dice = next(s for s in result.scores if s.name == "segment/dice")
    assert "1 both empty" in dice.score.note
    iou = next(s for s in result.scores if s.name == "rec/iou")
    assert "1 right about absence" in iou.score.note


def test_m3d_t47_a_missing_part_is_said_and_the_rest_is_asked(m3d_folder) -> None:
    (m3d_folder / "M3D_Cap.json").unlink()
    suite = open_suite("m3d", m3d_folder)
    assert f"no reports in {m3d_folder}" in suite.task.notes
    assert not any(i.group == "report" for i in suite.task.items)


def test_m3d_6k_questions_have_one_wording_and_one_order(m3d_folder) -> None:
    """Published: the test set is shuffled and the prompt drawn at random for every sample. Also M3D section 6 m: one source."""
    first, second = (open_suite("m3d", m3d_folder).task for _ in range(2))
    assert [i.question.sample_id for i in first.items] == [i.question.sample_id for i in second.items]
    assert first.hash == second.hash


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("presentation: a\nstudy_findings: liver\nis large. discussion: b", "liver is large. discussion: b"),
        ("discussion: a long one\nstudy_findings: x", "a long one study_findings: x"),
        ("study_findings: x", "study_findings: x"),
        ("nothing marked", "nothing marked"),
    ],
)
def test_m3d_t3_the_report_is_what_follows_its_marks(raw, text) -> None:
    assert kept_text(raw) == text


@pytest.fixture
def radbench_folder(tmp_path: Path) -> Path:
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    (tmp_path / "vqarad_test.csv").write_text(
        "img_root_dir,Figure_path,Question,Answer\n/mnt/authors,/mnt/authors/disk/a.png,Is it normal?,no\nx,a.png,,yes\nx,a.png,Q?,nan\n"
    )
    (tmp_path / "pcxr_balance_test.csv").write_text("image_path,disease,label\na.png,pneumonia,1\nlost.png,edema,0.0\n")
    (tmp_path / "radio_modality_test.csv").write_text("image_path,answer\na.png,CT\n")
    rows = [{"pat": "", "pre": "Cough.", "npy_path": "a.png", "finding": "Large nodule.", "impression": "Tumour."}]
    (tmp_path / "radiology_article_npy_test.json").write_text(json.dumps(rows))
    return tmp_path


def test_radbench_is_read_and_the_truth_scores_one(radbench_folder, tmp_path) -> None:
    suite = open_suite("radbench", radbench_folder)
    result = run_task(suite.task, Knows(suite.task.items), tmp_path / "run", controls=())
    scores = primary(result)
    assert set(scores) == {
        "vqa-open/exact_match", "diagnosis-closed/balanced_accuracy", "modality-open/exact_match", "report/finding_f1",
    }  # fmt: skip
    assert set(scores.values()) == {1.0}
    assert "report/paper_entity_precision" in published(result)


def test_rfm_t13_empty_cells_are_left_out_and_counted_never_answered_nan(radbench_folder) -> None:
    suite = open_suite("radbench", radbench_folder)
    assert "2 rows of vqarad_test.csv have an empty cell and are left out" in suite.task.notes
    assert all(i.reference.text.lower() != "nan" for i in suite.task.items)


def test_rfm_t20_and_t22_pictures_are_whole_and_the_same_each_time_and_a_lost_one_is_said(radbench_folder) -> None:
    """Published: a random crop at test time, and noise in the place of a film that cannot be read."""
    first, second = (open_suite("radbench", radbench_folder).task for _ in range(2))
    shown = [
        next(i for i in t.items if i.group == "modality-open").question.pictures[0].load() for t in (first, second)
    ]
    assert np.array_equal(shown[0], shown[1])
    assert shown[0].shape == (8, 8)
    lost = next(i for i in first.items if i.image_names == ("lost.png",))
    assert lost.absent == "lost.png is absent"
    assert lost not in first.without_absent().items


def test_rfm_t30_a_folder_without_test_files_is_refused_with_their_names(tmp_path) -> None:
    """Published: the default split matches none, and the loader stops on an empty set."""
    with pytest.raises(UsageError, match=r"vqarad_test\.csv"):
        open_suite("radbench", tmp_path)


def test_rfm_t33_prompts_end_with_punctuation() -> None:
    assert all(prompt.rstrip()[-1] in ".?" for prompt in PROMPTS.values())


def test_text_only_learns_nothing_where_a_suite_has_no_training_split(radbench_folder) -> None:
    suite = open_suite("radbench", radbench_folder)
    assert list(suite.training) == []
    assert TextOnly.of(suite.training).answer([suite.task.items[0].question])[0].error
