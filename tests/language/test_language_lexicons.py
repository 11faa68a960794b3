"""Lint of the tables that a clinician may correct."""

from __future__ import annotations

from importlib.resources import files

import pytest

from radfoundry import anatomy
from radfoundry.geometry.laterality import SIDES
from radfoundry.language.concepts import concepts
from radfoundry.language.labels import LABEL_SETS, label_set
from radfoundry.language.matching import expand, read_table
from radfoundry.language.sections import SECTIONS

DATA = files("radfoundry.language") / "data"
TABLES = sorted(table.name for table in DATA.iterdir())
HEADS = {
    "abdomen", "bone", "breast", "esophagus", "heart", "lung", "mediastinum", "pleura", "thyroid", "trachea and bronchie", "others",
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_every_table_reads_and_its_terms_are_lower_case_without_loose_spaces(table: str) -> None:
    for row in read_table(table):
        term = row.get("term", "")
        assert term == term.lower().strip(), term
        assert term.count("(") == term.count(")"), term
        assert all(written.strip(" .*") for written in expand(term)) or not term, term


@pytest.mark.parametrize("table", [t for t in TABLES if "term" in read_table(t)[0]])
def test_a_star_stands_at_the_end_of_a_piece(table: str) -> None:
    written = [piece for row in read_table(table) for term in expand(row["term"]) for piece in term.split(" ... ")]
    assert [piece for piece in written if "*" in piece[:-1]] == []


@pytest.mark.parametrize(
    "table", [t for t in TABLES if t not in ("finding_terms.tsv", "label_sets.tsv", "concepts.tsv")]
)
def test_no_term_is_given_twice(table: str) -> None:
    keys = [next(iter(row.values())) for row in read_table(table)]
    assert sorted({key for key in keys if keys.count(key) > 1}) == []


def test_every_region_of_the_lexicon_is_known_to_the_anatomy() -> None:
    named = {name for row in read_table("region_terms.tsv") for name in row["region"].split(";") if name}
    named |= {row["region"] for row in read_table("concepts.tsv") if row["region"]}
    named |= {row["region"] for row in read_table("region_heads.tsv")}
    named |= {w for row in read_table("finding_terms.tsv") for w in row["where"].removeprefix("each ").split(",") if w}
    assert sorted(name for name in named if not anatomy.is_known(name)) == []


def test_every_concept_that_a_term_or_a_label_names_exists() -> None:
    used = {name for row in read_table("finding_terms.tsv") for name in row["concept"].replace("!", "").split(";")}
    used |= {name for row in read_table("label_sets.tsv") for name in row["concepts"].split(";") if name}
    assert used <= concepts().keys()


def test_every_concept_has_a_term() -> None:
    used = {name for row in read_table("finding_terms.tsv") for name in row["concept"].replace("!", "").split(";")}
    assert sorted(concepts().keys() - used) == []


def test_cells_with_a_closed_choice_hold_one_of_it() -> None:
    assert {row["side"] for row in read_table("sides.tsv")} <= set(SIDES)
    assert {row["section"] for row in read_table("sections.tsv")} <= set(SECTIONS)
    assert {row["role"] for row in read_table("region_terms.tsv")} == {"name", "part", "container"}
    assert {row["head"] for row in read_table("region_heads.tsv")} <= HEADS
    assert {concept.bound for concept in concepts().values()} == {"", "bound", "loose"}
    assert {concept.kind for concept in concepts().values()} == {
        "abnormality",
        "variant",
        "appearance",
        "device",
        "surgery",
    }
    assert {row["then"] for row in read_table("beside_cues.tsv")} == {"", "word"}
    assert {row["scope"] for row in read_table("context_cues.tsv")} <= {"forward", "backward", "both", ""}


def test_every_cue_of_a_compat_rule_can_be_found_in_text() -> None:
    cues = {cue for row in read_table("compat_cues.tsv") for cue in row["cue"].split(";")} | {
        f"after {head}" for head in HEADS
    }
    rules = read_table("compat_rules.tsv")
    used = {cue for row in rules for cell in row["needs"].split(",") for cue in cell.split("|")}
    used |= {cue for row in rules for cue in row["unless"].split("|") if cue}
    assert sorted(used - cues) == []


def test_every_head_of_a_compat_rule_is_one_of_the_ten() -> None:
    assert {h for row in read_table("compat_rules.tsv") for h in row["heads"].split(";") if h} <= HEADS - {"others"} | {
        "carry"
    }


@pytest.mark.parametrize(("name", "count"), [("ct-rate", 18), ("nih", 14), ("chexpert", 14)])
def test_a_label_set_has_its_published_number_of_labels(name: str, count: int) -> None:
    assert name in LABEL_SETS
    assert len({label.name for label in label_set(name)}) == count
