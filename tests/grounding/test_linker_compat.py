"""The compat mapping: RadGenome's heads with RadGenome's habits."""

from __future__ import annotations

import pytest

from radfoundry.grounding.linker import RuleLinker

LINKER = RuleLinker("compat")


def heads(*sentences: str) -> set[str]:
    return {mention.name for mention in LINKER.link(sentences)[-1]}


@pytest.mark.parametrize(
    ("trap", "sentence", "expected"),
    [
        ("RG-T1", "Thoracic aorta diameter is normal.", {"abdomen", "mediastinum"}),
        ("RG-T3", "A 5 mm subpleural nodule is seen in the right lung upper lobe.", {"pleura"}),
        ("RG-T5", "No pleural or pericardial effusion was found.", {"pleura"}),
        ("RG-T7", "Pericardial effusion-thickening was not seen.", {"heart"}),
        (
            "RG-T10",
            "No enlarged lymph nodes in prevascular, subcarinal or bilateral hilar-axillary regions were detected.",
            set(),
        ),
        (
            "RG-T11",
            "Mediastinal main vascular structures, heart contour and size look normal.",
            {"heart", "mediastinum"},
        ),
        ("RG-T12", "The bilateral adrenal glands were normal and no space-occupying lesion was found.", {"abdomen"}),
        ("RG-T14", "Evaluation for Covid pneumonia is recommended.", set()),
        ("pleuroparenchymal", "Pleuroparenchymal sequelae are seen in the left upper lobe.", {"lung"}),
        ("trachea wins", "The trachea and both main bronchi are patent.", {"trachea and bronchie"}),
        ("abdominal aorta", "Plaques in the wall of the abdominal aorta.", {"abdomen", "mediastinum"}),
        ("hiatal hernia", "Hiatal hernia is observed.", {"esophagus"}),
    ],
)
def test_a_published_habit_is_kept(trap: str, sentence: str, expected: set[str]) -> None:
    """RG-T1, RG-T3, RG-T5, RG-T7, RG-T10, RG-T11, RG-T12, RG-T14."""
    assert heads(sentence) == expected, trap


@pytest.mark.parametrize(
    "sentence",
    [
        "Pleural effusion and consolidation in the right lung.",
        "Atelectasis of the lung adjacent to the pleural effusion.",
        "Subpleural and parenchymal nodules in both lungs.",
    ],
)
def test_rg_t13_lung_and_pleura_are_never_given_together(sentence: str) -> None:
    """RG-T13."""
    assert not {"lung", "pleura"} <= heads(sentence)


def test_rg_t33_the_published_spelling_of_the_airways_is_kept() -> None:
    """RG-T33."""
    assert heads("Trachea is open.") == {"trachea and bronchie"}


def test_a_follow_up_in_the_abdomen_is_carried() -> None:
    assert heads("There is a cyst in the left kidney.", "It is 12 mm in diameter.") == {"abdomen"}


def test_a_mention_names_the_rule_and_its_words() -> None:
    sentence = "No pleural effusion."
    ((mention,),) = LINKER.link([sentence])
    assert (mention.rule, mention.terms, sentence[mention.start : mention.end]) == (
        "pleura wins",
        ("pleural",),
        "pleural",
    )
