"""The audit: planted defects are found, sound corpora are called so."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import radfoundry
from radfoundry.grounding.audit import AuditRow, Told, audit_corpus, check_agreement, check_prevalence
from radfoundry.grounding.audit.prevalence import known_shares, wilson
from radfoundry.grounding.audit.texts import check_sentences, check_sizes, why_no_region
from radfoundry.language import LABEL_SETS, label_set
from radfoundry.records import Sentence


def rows_of(rows: list[AuditRow], check: str) -> dict[str, AuditRow]:
    return {row.subject: row for row in rows if row.check.startswith(check)}


def told(concept: str, n: int) -> list[Told]:
    return [Told(f"study {i}", concept) for i in range(n)]


def test_a_lost_negation_shows_as_a_prevalence_that_cannot_be() -> None:
    rows = rows_of(
        check_prevalence(told("pericardial effusion", 490) + told("pleural effusion", 110), 1000, "ct-rate"),
        "prevalence",
    )
    assert rows["Pericardial effusion"].level == "defect"
    assert rows["Pericardial effusion"].share == 0.49
    assert rows["Pleural effusion"].level == "fine"
    assert rows["Lung nodule"].level == "note"  # none at all: other patients, or a lexicon that misses them


def test_the_published_files_of_radgenome_have_the_pericardial_defect(shared_data) -> None:
    """49 % of the volumes have an effusion; labels by hand give 7.8 %. Conclusions name it in 5 % of those volumes."""
    rows = radfoundry.audit(shared_data / "radgenome", json=True)
    defects = rows_of([r for r in rows if r.level == "defect"], "")
    assert set(rows_of([r for r in rows if r.level == "defect"], "prevalence")) == {"Pericardial effusion"}
    assert defects["pericardial effusion"].check == "affirmed and never concluded"
    assert 0.45 < rows_of(rows, "prevalence")["Pericardial effusion"].share < 0.55
    assert defects["contradiction"].n > 20
    assert rows_of(rows, "sizes")["read"].share == 1.0


def test_the_audit_prints_json_lines(shared_data, capsys) -> None:
    radfoundry.audit(shared_data / "radgenome", json=True)
    *rows, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert summary["rows"] == len(rows)
    assert {"check", "level", "subject", "n", "of", "expected", "examples", "share"} == set(rows[0])


def test_few_studies_are_not_judged() -> None:
    (row,) = check_prevalence(told("pneumothorax", 9), 10, "nih")
    assert (row.level, row.subject) == ("note", "too few studies to judge")


def test_what_is_affirmed_often_and_concluded_never_is_named_without_any_known_share() -> None:
    rows = check_agreement(told("pericardial effusion", 500), told("pericardial effusion", 20), 1000)
    assert [(r.subject, r.level) for r in rows] == [("pericardial effusion", "defect")]
    assert not check_agreement(told("pericardial effusion", 500), told("pericardial effusion", 300), 1000)
    assert not check_agreement(told("lymph node", 500), told("lymph node", 3), 1000)


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_holds_the_share(n, of) -> None:
    n = min(n, of)
    low, high = wilson(n, of)
    assert -1e-9 <= low <= n / of + 1e-9
    assert n / of - 1e-9 <= high <= 1 + 1e-9


def test_known_shares_name_labels_of_their_sets() -> None:
    for labels in ("ct-rate", "nih"):
        assert labels in LABEL_SETS
        shares = known_shares(labels)
        assert set(shares) <= {label.name for label in label_set(labels)}
        assert all(0 < low <= high < 1 for low, high in shares.values())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Follow-up CT is recommended in three months.", "it is advice"),
        ("It was learned that the patient had surgery.", "it is history"),
        ("The examination is suboptimal.", "it is about how it was done or how well it can be seen"),
        ("A metastasis is seen.", "a finding that may be anywhere, and no place is named"),
        ("Please see above.", "it names neither a region nor a finding"),
        (".", "it has no words"),
    ],
)
def test_a_sentence_without_a_region_has_its_reason(text, why) -> None:
    """RG-T14: advice has no region and is not an omission."""
    assert why_no_region(text) == why


def sentence(text: str, n: int = 0) -> Sentence:
    return Sentence(f"sen_{n}", "rep", "findings", n, 0, len(text), text)


def test_unlinked_sentences_are_counted_by_reason() -> None:
    rows = list(
        check_sentences(
            [sentence("Control is recommended.", 0), sentence("Control is advised.", 1), sentence("?", 2)], {}
        )
    )
    assert [(r.check, r.subject, r.n, r.of) for r in rows] == [
        ("sentences with no region", "it is advice", 2, 3), ("sentences with no region", "it has no words", 1, 3),
    ]  # fmt: skip
    assert rows[0].examples == ("Control is recommended.", "Control is advised.")


def test_sizes_that_were_not_read_are_counted_by_reason() -> None:
    texts = ["A 5 mm nodule.", "A nodule of 6x4 mm.", "An area of 12 mm2 is seen.", "Series 2 image 408."]
    rows = rows_of(list(check_sizes([sentence(t, n) for n, t in enumerate(texts)])), "sizes")
    assert (rows["read"].n, rows["read"].of) == (2, 3)
    assert rows["not read: an area or a volume, not a length"].examples == ("An area of 12 mm2 is seen.",)


def test_a_sound_corpus_is_called_so(phantom_corpora) -> None:
    rows = audit_corpus(phantom_corpora["grounded-report"])
    assert not [r for r in rows if r.level == "defect"]
    assert {r.subject for r in rows if r.check == "text and mask"} >= {"presence", "side", "sides of masks"}
    assert rows_of(rows, "questions")["asked twice"].of == len(phantom_corpora["grounded-report"].samples())


def test_swapped_reports_are_found_out(phantom_table, tmp_path) -> None:
    """The reports of one patient beside the masks of another: sides, presence and sizes disagree."""
    import csv

    from phantom_corpus import build

    with phantom_table.open() as file:
        rows = [row for row in csv.DictReader(file) if row["modality"] == "CT"]
    for row in rows:
        for column in ("image", "mask", "labels"):
            row[column] = str(phantom_table.parent / row[column])
        report = (phantom_table.parent / row["report"]).read_text()
        row["report"] = report.replace("left", "l/e/f/t").replace("right", "left").replace("l/e/f/t", "right")
    table = tmp_path / "swapped.csv"
    with table.open("w", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    found = rows_of(audit_corpus(build("grounded-report", table, tmp_path / "out")), "text and mask")
    assert found["side"].level == "defect"
    assert found["side"].share > 0.5


def test_a_report_against_itself_and_a_question_twice_are_found() -> None:
    from grounded_reports import ask, batch_of
    from radfoundry.grounding.audit.corpus import AuditedStudy, _contradictions, _duplicates

    batch = batch_of("FINDINGS: There is a pleural effusion. No pleural effusion is seen.")
    links, findings = {}, {}
    for link in batch.table("links"):
        links.setdefault(link.sentence_id, []).append(link)
    for finding in batch.table("findings"):
        findings.setdefault(finding.sentence_id, []).append(finding)
    study = AuditedStudy(batch.table("studies")[0], {}, (), tuple(batch.table("sentences")), links, findings)
    (row,) = _contradictions([study])
    assert (row.level, row.subject, row.n, row.of) == ("defect", "pleural effusion", 1, 1)
    samples = ask("FINDINGS: There is a left pleural effusion.")
    assert {r.level for r in _duplicates(samples)} == {"fine"}
    assert [r.n for r in _duplicates([*samples, samples[0]])] == [1, 0]
