"""What RadFM's and XrayGPT's dataset classes make of their rows; faults are kept where published weights rest on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radfoundry.errors import UnreadableError
from radfoundry.formats import radfm_items, radfm_sizes
from radfoundry.formats.xraygpt_items import caption_items, openi_id, process_caption, read_annotations


class Fixed:
    """Draws that always fall alike."""

    def __init__(self, coin: float, pick: int = 0) -> None:
        self.coin, self.pick = coin, pick

    def random(self) -> float:
        return self.coin

    def choice(self, count: int) -> int:
        return self.pick % count

    def randint(self, most: int) -> int:
        return min(self.pick, most)

    def sample(self, count: int, size: int) -> Sequence[int]:
        return list(range(size))


# RadFM ------------------------------------------------------------------------------------------------------------


def test_a_modality_answered_no_is_the_right_one_rfm_t14() -> None:
    row = {"image_path": "x", "answer": "CT"}

    asked = radfm_items.radio_modality(row, Fixed(0.5, 1), ["Which?"], ["Is it a modality scan?"], ["CT", "MRI"])
    assert (asked.question, asked.answer) == ("Is it a CT scan?", "no")


def test_a_right_value_leaves_the_shared_list_for_good_rfm_t15() -> None:
    values = {"plane": ["Axial", "Coronal", "Sagittal"]}
    single = radfm_items.MedPixSingle({"plane": ["Plane?"]}, {"plane": ["Is it {object}?"]}, values)
    item = single({"name": "a.png", "type": "plane", "context": "Axial"}, Fixed(0.4))
    assert (item.question, item.answer) == ("Is it Coronal?", "no")
    assert values == {"plane": ["Coronal", "Sagittal"]}


def test_of_more_than_ten_series_all_stay_rfm_t16() -> None:
    item = radfm_items.radio_vqa({"question": "Why?", "answer": "So"}, Fixed(0.9), 12)
    assert len(item.placed) == 12


def test_a_context_is_cut_at_decimals_too_rfm_t38() -> None:
    row = {"PMC_id": "1", "context": "A 3.5 cm mass. B. C. D. E.", "question": "Q: What? Q:", "answer": "A: a A: b"}
    item = radfm_items.case_report(row, Fixed(0.9), ["f1"])
    assert item.question == "A 3.  C.  D.  E. \n What? "
    assert item.answer == " a  b"
    assert item.placed == (radfm_items.Placed("1_f1.jpg", "question", len(item.question)),)


def test_an_image_stands_before_its_sentence_and_texts_are_joined_bare_rfm_t39() -> None:
    sentences = [{"text": "One.", "img_ref": ["a"]}, {"text": "Two.", "img_ref": ["b", "c"]}]
    item = radfm_items.paper_inline(sentences, Fixed(0.9))
    assert item.answer == "One.Two."
    assert [p.offset for p in item.placed] == [0, 4, 4]
    more = [*sentences, {"text": "Three.", "img_ref": ["d"]}]
    assert radfm_items.paper_inline(more, Fixed(0.9)).answer == "One.Two."


def test_sizes_cut_from_findings_leave_blanks_rfm_t44() -> None:
    row = {"name": "a", "type": "findings", "context": "• A 2 x 3 cm mass of 12mm", "history": None}
    assert radfm_items.medpix_multi(row, Fixed(0.1), ["Ask."]).answer == "A 2 x  mass of "


def test_draws_of_a_generator_are_in_range() -> None:
    draws = radfm_items.RandomDraws(np.random.default_rng(0))
    assert {draws.choice(3) for _ in range(50)} == {0, 1, 2}
    assert {draws.randint(2) for _ in range(50)} == {0, 1, 2}
    assert sorted(draws.sample(4, 4)) == [0, 1, 2, 3]
    assert 0 <= draws.random() < 1


@given(st.integers(1, 300), st.booleans())
def test_a_depth_goes_to_the_nearest_multiple_of_four_ties_down_rfm_t23(depth: int, many: bool) -> None:
    target = radfm_sizes.target_depth(depth, many=many)
    top = 32 if many else 64
    assert target % 4 == 0
    assert 4 <= target <= top
    if 4 <= depth <= top:
        assert target - depth < 2
        assert depth - target <= 2


def test_a_deep_sample_alone_is_narrow_and_many_images_are_shallow_rfm_t24_t25() -> None:
    assert radfm_sizes.batch_shape([(1, 3, 512, 512, 64)]) == (1, 1, 3, 256, 256, 64)
    assert radfm_sizes.batch_shape([(7, 3, 512, 512, 64)]) == (1, 7, 3, 256, 256, 32)
    assert radfm_sizes.batch_shape([(7, 3, 512, 512, 64)] * 2) == (2, 7, 3, 512, 512, 64)
    assert radfm_sizes.batch_shape([(1, 3, 512, 512, 4)], test=True)[-2] == 256


def test_a_constant_study_is_zero_and_not_noise_rfm_t21() -> None:
    study = radfm_sizes.study_range(np.full((1, 3, 2, 2, 2), 7))
    assert study.shape == (1, 3, 2, 2, 2)
    assert not study.any()


def test_published_modality_volumes_mix_up_their_axes_rfm_t18() -> None:
    volume = np.broadcast_to(np.arange(20, dtype=np.float32), (512, 512, 20))
    shown = radfm_sizes.modality_volume(volume)
    assert shown.shape == (3, 512, 512, 64)
    assert (np.diff(shown[0, :, 0, 0]) >= 0).all()
    assert not np.ptp(shown[0, 100])


# XrayGPT ----------------------------------------------------------------------------------------------------------

ROWS = [
    {"image_id": "a", "caption": "No EFFUSION."},
    {"image_id": "b", "caption": "x"},
    {"image_id": "a", "caption": "y"},
]


def test_captions_bypass_the_processor_xrg_t1() -> None:
    assert [item.caption for item in caption_items(ROWS, "mimic")] == ["No EFFUSION.", "x", "y"]
    assert process_caption("No  EFFUSION.") == "no effusion"


def test_a_number_by_first_appearance_stands_beside_the_id_xrg_t2() -> None:
    items = caption_items(ROWS, "openi")
    assert [(item.number, item.image_id, item.instance) for item in items] == [
        (0, "a", "0"), (1, "b", "1"), (0, "a", "2"),
    ]  # fmt: skip


def test_a_picture_is_found_under_any_known_suffix_xrg_t3(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "a.jpg").touch()
    assert [item.file for item in caption_items(ROWS[:2], "openi")] == ["image/a.png", "image/b.png"]
    assert [item.file for item in caption_items(ROWS[:2], "openi", tmp_path)] == ["image/a.jpg", "image/b.png"]


@pytest.mark.parametrize(
    ("name", "known"), [("CXR3_IM-1384-1001.png", "1384_1"), ("CXR3_IM-1384-2001.png", "1384_2"), ("other.png", "")]
)
def test_open_i_names_lead_to_annotation_ids_xrg_t4(name: str, known: str) -> None:
    assert openi_id(name) == known


@pytest.mark.parametrize("text", ["[]", "{", '{"annotations": [{"caption": "x"}]}', '{"annotations": 3}'])
def test_a_file_without_captions_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "filter_cap.json"
    path.write_text(text)
    with pytest.raises(UnreadableError, match="holds no captions"):
        read_annotations(path)
    path.write_text('{"annotations": [{"image_id": 1, "caption": "x"}]}')
    assert read_annotations(path) == [{"image_id": 1, "caption": "x"}]
