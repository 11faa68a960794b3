"""Ids, rows and Arrow schemas."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radfoundry import errors
from radfoundry.arrow import from_table, schema_of, to_table
from radfoundry.ids import make_id, normalised_text, settings_hash
from radfoundry.records import SCHEMA_VERSION, TABLES, MadeBy, Part, Rejected, Sample, Turn


def test_ids_are_frozen() -> None:
    """A change here renames every row of every corpus: it needs a new schema version."""
    assert make_id("image", np.arange(6, dtype=np.int16).reshape(2, 3), (1.0, 2.0)) == "img_c3eca819e564961200e2"
    assert make_id("report", "No effusion.") == "rep_129ee4e4fc4f2302727f"


@given(st.text(), st.text())
def test_parts_of_an_id_do_not_run_together(a, b) -> None:
    assert make_id("link", a, b) != make_id("link", a + b)
    assert make_id("link", (a, b)) != make_id("link", a, b)


def test_an_id_sees_type_shape_and_byte_order() -> None:
    little = np.arange(4, dtype="<i2")
    assert make_id("image", little) == make_id("image", little.astype(">i2"))
    assert make_id("image", little) != make_id("image", little.reshape(2, 2))
    assert make_id("image", little) != make_id("image", little.astype("<i4"))
    assert make_id("image", little) == make_id("image", np.arange(8, dtype="<i2")[::1][:4])
    assert make_id("image", 0.0) == make_id("image", -0.0)
    assert make_id("image", 1) != make_id("image", True)


def test_an_id_is_not_made_from_what_has_no_bytes() -> None:
    with pytest.raises(TypeError, match="cannot be made from set"):
        make_id("image", {1})


def test_text_is_normalised_for_its_id() -> None:
    assert normalised_text("  No\n\n effusion. ") == "No effusion."
    assert normalised_text("e\u0301") == "\u00e9"


def test_settings_hash_ignores_order() -> None:
    assert settings_hash({"a": 1, "b": [1, 2]}) == settings_hash({"b": [1, 2], "a": 1})
    assert settings_hash({"a": 1}) != settings_hash({"a": 2})


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_a_schema_with_its_version(table) -> None:
    schema = schema_of(table)
    assert schema.names == [f.name for f in dataclasses.fields(TABLES[table][0])]
    assert schema.metadata[b"radfoundry.schema_version"] == str(SCHEMA_VERSION).encode()


def test_rows_go_through_arrow_unchanged_sorted_and_once() -> None:
    turn = Turn("user", (Part("image", ref="img_1"), Part("text", "Where?")))
    rows = [
        Sample(
            i,
            "s",
            ("img_1",),
            "rec",
            (turn,),
            "box",
            (),
            ((0, 0, 0, 1, 2, 3),),
            (),
            ("fnd_1",),
            "train",
            "",
            MadeBy("x", "1"),
        )
        for i in ("smp_b", "smp_a", "smp_b")
    ]
    assert from_table("samples", to_table("samples", rows)) == [rows[1], rows[0]]
    assert to_table("rejected", []).num_rows == 0
    assert (
        from_table("rejected", to_table("rejected", [Rejected("k", "s", "RowError", "row", "why", "mend")]))[0].mend
        == "mend"
    )


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_cross_a_process_border(name) -> None:
    error = getattr(errors, name)("what", "why", "mend", code="special")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(back), back.what, back.why, back.mend, back.code) == (type(error), "what", "why", "mend", "special")
    assert str(back) == "what\nwhy\nmend"
