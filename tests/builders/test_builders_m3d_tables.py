"""The tables and small rules behind `build m3d`: definitions, phases, planes, options."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from radfoundry import anatomy
from radfoundry.builders.m3d_choices import WRONG_OPTIONS, offered, ranked
from radfoundry.builders.m3d_definitions import definitions
from radfoundry.builders.m3d_view import _phase_terms, organs_out_of_view, phase_of, plane_of
from radfoundry.grounding.names import region_name
from radfoundry.records import Image, MadeBy, Region, Sentence

IMAGE = Image(
    "img_0", "sty_0", "CT", 3, (10, 64, 64), (5.0, 0.8, 0.8), (0.0,) * 3, (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), "mm", "HU"
)


def _core(name: str) -> str:
    """A name without its side: "left kidney" must not be called a kidney either."""
    return " ".join(w for w in name.split() if w not in ("left", "right"))


def test_definitions_and_duties_are_unique_and_short() -> None:
    rows = definitions().values()
    assert len(rows) > 180
    told = [row.definition for row in rows]
    duties = [row.duty for row in rows if row.duty]
    assert len(set(told)) == len(told)
    assert len(set(duties)) == len(duties) > 90
    assert all(3 <= len(text.split()) <= 22 for text in told)
    assert all(not text.endswith(".") and text == text.strip() for text in [*told, *duties])


@pytest.mark.parametrize("name", list(definitions()))
def test_no_definition_holds_its_own_name(name: str) -> None:
    region, row = anatomy.region(name), definitions()[name]
    assert region.name == name, "the table knows regions by their canonical names"
    for word in (region.name, *region.synonyms):
        for text in (row.definition, row.duty):
            assert not re.search(rf"\b{re.escape(_core(word))}s?\b", text), (word, text)


def test_sides_of_a_definition_are_those_of_the_region() -> None:
    for name, row in definitions().items():
        side = anatomy.side_of(name)
        if side in ("left", "right"):
            other = {"left": "right", "right": "left"}[side]
            assert f"on the patient's {other}" not in f"{row.definition} {row.duty}"


@pytest.mark.parametrize("vocabulary", ["totalsegmentator_v2", "totalsegmentator_mr", "m3d_seg"])
def test_every_structure_of_a_vocabulary_is_defined(vocabulary: str) -> None:
    named = {m.region for m in anatomy.crosswalk(vocabulary).mappings}
    assert not [r.name for r in named if anatomy.is_structure(r.name) and region_name(r.name) not in definitions()]


def test_a_longer_phase_term_comes_before_the_shorter_one_inside_it() -> None:
    terms = [pattern.pattern.replace("\\b", "").replace("\\", "") for pattern, _ in _phase_terms()]
    for place, term in enumerate(terms):
        assert not [later for later in terms[place + 1 :] if re.search(rf"\b{re.escape(term)}\b", later)]


def _said(text: str) -> list[Sentence]:
    return [Sentence("sen_0", "rep_0", "technique", 0, 0, len(text), text)]


@pytest.mark.parametrize(
    ("text", "name", "agent"),
    [
        ("CT of the chest without intravenous contrast.", "non-contrast", False),
        ("Portal venous phase after 90 mL.", "portal venous", True),
        ("Late arterial phase images.", "arterial", True),
        ("Contrast-enhanced CT.", "", True),
        ("Excretory phase.", "delayed", True),
    ],
)
def test_a_phase_is_known_where_the_technique_says_so(text: str, name: str, agent: bool) -> None:
    phase = phase_of(IMAGE, _said(text))
    assert phase is not None
    assert (phase.name, phase.agent, phase.evidence) == (name, agent, "sen_0")


@pytest.mark.parametrize(
    "text",
    [
        "CT of the chest.",
        "Arterial and portal venous phase.",
        "With and without contrast.",
        "Without contrast, then with contrast.",
    ],
)
def test_a_phase_is_not_guessed(text: str) -> None:
    assert phase_of(IMAGE, _said(text)) is None


def test_a_header_says_that_an_agent_was_given_or_the_phase() -> None:
    given = phase_of(replace(IMAGE, contrast="Iohexol 300"), [])
    assert given is not None
    assert (given.name, given.agent, given.evidence) == ("", True, "img_0")
    venous = phase_of(replace(IMAGE, contrast="portal venous"), [])
    assert venous is not None
    assert venous.name == "portal venous"
    assert phase_of(replace(IMAGE, modality="MR", contrast="Gadolinium"), []) is None


@pytest.mark.parametrize(
    ("spacing", "plane"),
    [((5.0, 0.8, 0.8), "axial"), ((0.8, 5.0, 0.8), "coronal"), ((0.8, 0.8, 5.0), "sagittal"), ((1.0, 1.0, 1.0), "")],
)
def test_the_plane_follows_from_the_step_between_slices(spacing: tuple[float, ...], plane: str) -> None:
    assert plane_of(replace(IMAGE, spacing=spacing)) == plane


def test_a_tilted_stack_is_oblique_and_pixels_have_no_plane() -> None:
    tilted = (1.0, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8)
    assert plane_of(replace(IMAGE, direction=tilted)) == "oblique"
    assert plane_of(replace(IMAGE, grid_unit="pixel")) == ""


def _regions(*names: str) -> list[Region]:
    box, made = (0, 0, 0, 1, 1, 1), MadeBy("x", "1")
    return [Region(f"reg_{n}", "img_0", n, "none", "s", 1, 9, 9.0, box, (0.0,) * 3, 0.0, 0.0, made) for n in names]


ABDOMEN = ("liver", "spleen", "pancreas", "stomach", "left kidney", "right kidney", "gallbladder", "left adrenal gland",
           "right adrenal gland", "duodenum", "esophagus", "aorta", "inferior vena cava", "portal vein", "urinary bladder",
           "prostate")  # fmt: skip


def test_an_abdominal_organ_that_is_not_labelled_is_not_called_absent() -> None:
    assert organs_out_of_view(_regions(*ABDOMEN)) == []
    with_bone = organs_out_of_view(_regions(*ABDOMEN, "lumbar vertebrae 1 (l1)"))
    assert "brain" in with_bone
    assert "colon" not in with_bone
    assert "small bowel" not in with_bone


def test_options_are_the_same_every_time_and_their_order_hides_the_answer() -> None:
    wrong = ["a1", "a2", "a3", "a4", "a5"]
    assert offered("key", "right", wrong) == offered("key", "right", list(reversed(wrong)))
    places = {offered(f"key {n}", "right", wrong).index("Right") for n in range(60)}
    assert places == {0, 1, 2, 3}
    assert all(len(offered(f"{n}", "right", wrong)) == WRONG_OPTIONS + 1 for n in range(5))
    assert "A5" in offered("key", "right", wrong, likely=["a5"])
    assert ranked("key", ["b", "a", "b"]) == ranked("key", ["a", "b"])
