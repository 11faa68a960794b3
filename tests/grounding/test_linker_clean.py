"""The clean mapping: the finest region, its side, carry-over, and what does not count."""

from __future__ import annotations

import pickle

import pytest

from radfoundry import anatomy
from radfoundry.errors import UsageError
from radfoundry.grounding.linker import Linker, RuleLinker

LINKER = RuleLinker("clean")


def names(*sentences: str) -> set[str]:
    return {mention.name for mention in LINKER.link(sentences)[-1]}


def test_rg_t2_the_thoracic_aorta_is_in_the_mediastinum_alone() -> None:
    """RG-T2."""
    assert names("Thoracic aorta diameter is normal.") == {"thoracic aorta"}


def test_rg_t4_a_subpleural_nodule_is_in_its_lobe() -> None:
    """RG-T4."""
    assert names("A 5 mm subpleural nodule is seen in the posterior segment of the right lung upper lobe.") == {
        "right lung upper lobe"
    }


def test_rg_t6_an_effusion_of_both_is_in_pleura_and_pericardium() -> None:
    """RG-T6."""
    assert names("No pleural or pericardial effusion was found.") == {"pleura", "pericardium"}


def test_rg_t10_the_node_template_is_in_the_mediastinum() -> None:
    """RG-T10."""
    found = names(
        "No enlarged lymph nodes in prevascular, pretracheal, subcarinal or bilateral hilar-axillary regions were detected."
    )
    assert "mediastinum" in found
    assert {"left axilla", "right axilla"} <= found


def test_rg_t11_vessels_and_heart_are_two_regions() -> None:
    """RG-T11."""
    assert names("Mediastinal main vascular structures, heart contour and size look normal.") == {
        "heart",
        "main mediastinal vascular structures",
    }


def test_rg_t12_both_adrenal_glands_are_named() -> None:
    """RG-T12."""
    sentence = "The bilateral adrenal glands were normal and no space-occupying lesion was found."
    assert names(sentence) == {"left adrenal gland", "right adrenal gland"}


def test_rg_t13_lung_and_pleura_are_both_given_when_both_are_named() -> None:
    """RG-T13."""
    found = names("Consolidation in the left lower lobe and left pleural effusion are seen.")
    assert found == {"left lung lower lobe", "left pleura"}


def test_rg_t14_advice_has_no_region() -> None:
    """RG-T14."""
    assert names("There is a nodule in the left lung.", "It is recommended to be evaluated for pneumonia.") == set()


def test_advice_at_the_end_does_not_silence_what_was_said_before_it() -> None:
    assert names("A 9 mm nodule is seen in the left lower lobe, and follow-up is recommended.") == {
        "left lung lower lobe"
    }


def test_rg_t19_both_lower_lobes_are_two_lobes() -> None:
    """RG-T19."""
    assert names("Atelectasis is seen in the lower lobes of both lungs.") == {
        "left lung lower lobe",
        "right lung lower lobe",
    }


def test_rg_t20_the_lingula_is_in_the_left_upper_lobe_and_the_middle_lobe_is_right() -> None:
    """RG-T20."""
    assert names("Linear density in the lingular segment.") == {"left lung lingula"}
    assert anatomy.is_a("left lung lingula", "left lung upper lobe")
    assert names("Linear density in the middle lobe.") == {"right lung middle lobe"}


@pytest.mark.parametrize(
    ("sentence", "region"),
    [
        ("Nodule in the upper lobe of the right lung.", "right lung upper lobe"),
        ("Nodule in the right upper lobe.", "right lung upper lobe"),
        ("Nodule in the lower lobe on the left.", "left lung lower lobe"),
        ("Left kidney stone.", "left kidney"),
        ("Fracture of the 8th rib on the left.", "left rib 8"),
        ("Height loss in the T12 vertebra.", "thoracic vertebrae 12 (t12)"),
        ("Height loss in the TH12 vertebral body.", "thoracic vertebrae 12 (t12)"),
        ("Nodule in the left thyroid lobe.", "left thyroid"),
        ("A lesion in the left lobe of the liver.", "left lobe of liver"),
        ("Sliding type hernia is observed.", "esophagus"),
        ("CTO is increased.", "heart"),
        ("There is a nodule adjacent to the right major fissure in the right lower lobe.", "right lung lower lobe"),
    ],
)
def test_the_finest_region_carries_its_side(sentence: str, region: str) -> None:
    assert names(sentence) == {region}


def test_two_lobes_keep_their_own_sides() -> None:
    found = names("Nodules in the left lung upper lobe and right lung lower lobe.")
    assert found == {"left lung upper lobe", "right lung lower lobe"}


def test_the_largest_one_in_a_lobe_leaves_the_other_lung_in() -> None:
    assert names("Nodules in both lungs, the largest in the left lower lobe.") == {"right lung", "left lung lower lobe"}


def test_a_follow_up_sentence_takes_the_region_of_the_sentence_before() -> None:
    (_, (mention,)) = LINKER.link(["There is a cyst in the left kidney.", "It is 12 mm in diameter."])
    assert (mention.name, mention.rule, mention.start, mention.end) == ("left kidney", "carried", 0, 0)


def test_nothing_is_carried_from_one_report_to_the_next() -> None:
    LINKER.link(["There is a cyst in the left kidney."])
    assert names("It is 12 mm in diameter.") == set()


def test_a_mention_tells_its_terms_place_rule_and_confidence() -> None:
    sentence = "Pericardial effusion is seen."
    ((mention,),) = LINKER.link([sentence])
    assert mention.terms == (sentence[mention.start : mention.end],)
    assert (mention.name, mention.side, mention.rule) == ("pericardium", "none", "name")
    assert 0 < mention.confidence <= 1


def test_every_name_and_side_is_one_of_the_anatomy() -> None:
    for mention in (m for ms in LINKER.link(["Nodules in both lungs and the left kidney."]) for m in ms):
        assert anatomy.side_of(mention.name) == mention.side


def test_a_users_terms_win_over_ours(tmp_path) -> None:
    (tmp_path / "region_terms.tsv").write_text(
        "term\tregion\trole\nlung\tliver\tname\nwindpipe\ttrachea\tname\n", encoding="utf-8"
    )
    own = RuleLinker("clean", [tmp_path])
    assert [m.name for m in own.link(["The windpipe is open."])[0]] == ["trachea"]
    assert [m.name for m in own.link(["The lung is clear."])[0]] == ["liver"]


def test_another_mapping_is_refused() -> None:
    with pytest.raises(UsageError, match="no mapping 'fine'"):
        RuleLinker("fine")  # type: ignore[arg-type]


def test_the_rule_linker_follows_the_protocol() -> None:
    assert isinstance(LINKER, Linker)


@pytest.mark.parametrize("mapping", ["clean", "compat"])
def test_a_linker_travels_to_another_process(mapping: str) -> None:
    linker = RuleLinker(mapping)  # type: ignore[arg-type]
    sentences = ["Nodule in the right upper lobe.", "It is stable."]
    assert pickle.loads(pickle.dumps(linker)).link(sentences) == linker.link(sentences)  # noqa: S301
