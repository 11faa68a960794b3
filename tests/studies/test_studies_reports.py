"""Report text from files: what is written comes out, entities do not unfold, and limits hold."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from radfoundry.errors import LimitError, UnreadableError
from radfoundry.studies import Limits, read_report
from radfoundry.studies.xml_tree import parse_xml

LIMITS = Limits()


def test_plain_text_reads_in_utf8_and_in_latin1(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "latin-1"):
        (tmp_path / "r.txt").write_bytes("Kein Erguß.\n".encode(encoding))
        assert read_report(tmp_path / "r.txt", LIMITS) == "Kein Erguß."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Clear.", "Clear."),
        ({"report": "Clear."}, "Clear."),
        ({"Impression": "Normal.", "Findings": "Clear.", "id": "7"}, "FINDINGS: Clear.\nIMPRESSION: Normal."),
    ],
)
def test_json_reads(tmp_path: Path, value: object, text: str) -> None:
    (tmp_path / "r.json").write_text(json.dumps(value))
    assert read_report(tmp_path / "r.json", LIMITS) == text


@pytest.mark.parametrize("value", ["{", "[1, 2]", '{"a": 1}', "[" * 100_000])
def test_json_without_a_report_is_refused(tmp_path: Path, value: str) -> None:
    (tmp_path / "r.json").write_text(value)
    with pytest.raises(UnreadableError):
        read_report(tmp_path / "r.json", LIMITS)


def test_every_open_i_report_gives_the_findings_of_the_table(shared_data: Path) -> None:
    folder = shared_data / "openi_reports"
    with (folder / "indiana_reports_nolabels.csv").open(newline="", encoding="utf-8") as stream:
        table = {row["uid"]: row for row in csv.DictReader(stream)}
    paths = sorted((folder / "ecgen-radiology").glob("*.xml"))
    assert len(paths) == 402
    without = {"FINDINGS": 0, "IMPRESSION": 0}
    for path in paths:
        sections = dict(line.split(": ", 1) for line in read_report(path, LIMITS).splitlines() if ": " in line)
        for name in without:
            without[name] += name not in sections
        if path.stem in table:
            assert sections.get("FINDINGS", "").split() == table[path.stem]["findings"].split()
    assert without == {"FINDINGS": 47, "IMPRESSION": 1}


def test_a_doctype_is_refused_whatever_it_declares(tmp_path: Path) -> None:
    for declared in ('<!ENTITY x SYSTEM "file:///etc/passwd">', '<!ENTITY a "ha"><!ENTITY b "&a;&a;">', ""):
        (tmp_path / "r.xml").write_text(f"<!DOCTYPE r [{declared}]><r><AbstractText>&x;</AbstractText></r>")
        with pytest.raises(UnreadableError, match="declares a document type"):
            read_report(tmp_path / "r.xml", LIMITS)


def test_characters_written_as_entities_of_xml_itself_are_read(tmp_path: Path) -> None:
    (tmp_path / "r.xml").write_text('<r><AbstractText Label="FINDINGS">&lt; 3 mm &amp; calm&#46;</AbstractText></r>')
    assert read_report(tmp_path / "r.xml", LIMITS) == "FINDINGS: < 3 mm & calm."


@pytest.mark.parametrize(
    "data", [b"<a>", b"", b"<a></b>", b"\xff\xfe<", b"<a>&x;</a>", b'<?xml version="1.0" encoding="none"?><a/>']
)
def test_broken_xml_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="is broken XML"):
        parse_xml(data, "r.xml", LIMITS)


def test_xml_limits_stand_on_both_sides_of_the_line() -> None:
    deep = b"<a>" * 4 + b"</a>" * 4
    assert parse_xml(deep, "r.xml", Limits(xml_depth=4)).tag == "a"
    with pytest.raises(LimitError, match="xml_depth is 4, the limit is 3"):
        parse_xml(deep, "r.xml", Limits(xml_depth=3))
    assert parse_xml(deep, "r.xml", Limits(xml_elements=4)).tag == "a"
    assert parse_xml(deep, "r.xml", Limits(xml_bytes=len(deep))).tag == "a"
    with pytest.raises(LimitError, match="xml_bytes"):
        parse_xml(deep, "r.xml", Limits(xml_bytes=len(deep) - 1))
    with pytest.raises(LimitError, match="xml_elements"):
        parse_xml(deep, "r.xml", Limits(xml_elements=3))


def test_a_report_may_be_as_long_as_the_limit(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("x" * 100)
    assert len(read_report(tmp_path / "r.txt", Limits(text_bytes=100))) == 100
    with pytest.raises(LimitError, match="text_bytes is 100, the limit is 99"):
        read_report(tmp_path / "r.txt", Limits(text_bytes=99))


def test_what_a_report_says_is_never_followed(tmp_path: Path) -> None:
    text = "{0.__class__} $(rm -rf) ../../x <image> {{7*7}}"
    (tmp_path / "r.txt").write_text(text)
    assert read_report(tmp_path / "r.txt", LIMITS) == text
