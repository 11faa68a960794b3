"""Label sets: what counts for which, and how well it does on labelled reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from radfoundry.errors import UsageError
from radfoundry.language import label_report
from radfoundry.language.bench_findings import bench_findings


def labels(text: str, name: str) -> set[str]:
    return {label for label, true in label_report(text, name).items() if true}


def test_rg_t28_fibroatelectasis_is_sequela_and_no_atelectasis() -> None:
    """RG-T28."""
    assert labels("Fibroatelectatic changes are observed in both lungs.", "ct-rate") == {"Pulmonary fibrotic sequela"}


def test_rg_t26_any_described_node_counts_for_ct_rate() -> None:
    """RG-T26."""
    assert labels("Lymph nodes that did not reach pathological size are observed.", "ct-rate") == {"Lymphadenopathy"}


def test_rg_t27_a_resolved_finding_is_no_label() -> None:
    """RG-T27."""
    assert labels("The nodule observed in the previous examination was not detected.", "ct-rate") == set()


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("Mild cardiomegaly. No effusion.", "nih", {"Cardiomegaly"}),
        ("Patchy infiltrate may represent pneumonia.", "nih", {"Infiltration", "Pneumonia"}),
        ("Hiatal hernia.", "nih", {"Hernia"}),
        ("Right lower lobe airspace opacity. Old rib fracture.", "chexpert", {"Lung Opacity", "Fracture"}),
        ("Sternotomy wires and a left pacemaker. Clear lungs.", "chexpert", {"No Finding", "Support Devices"}),
        ("Normal chest.", "chexpert", {"No Finding"}),
        ("Crazy paving pattern.", "ct-rate", {"Lung opacity", "Interlobular septal thickening"}),
        ("Sliding type hernia is observed.", "ct-rate", {"Hiatal hernia"}),
        ("Fluid was observed in the superior pericardial recess.", "ct-rate", {"Pericardial effusion"}),
        ("A few bullae are seen.", "ct-rate", {"Emphysema"}),
    ],
)
def test_a_report_gets_the_labels_that_it_states(text: str, name: str, expected: set[str]) -> None:
    assert labels(text, name) == expected


def test_only_findings_and_impression_count() -> None:
    assert labels("HISTORY: Pneumothorax. FINDINGS: Clear lungs.", "nih") == set()


def test_an_unknown_label_set_is_refused() -> None:
    with pytest.raises(UsageError, match="no label set 'mimic'"):
        label_report("", "mimic")


def test_the_bench_tells_the_set_by_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(
        "patient,report_text,Pneumothorax,Hernia\n1,No pneumothorax.,0,0\n2,Hiatal hernia.,0,1\n", encoding="utf-8"
    )
    scores = bench_findings(file)
    assert (scores["label_set"], scores["micro_f1"], scores["exact"], scores["n"]) == ("nih", 1.0, 1.0, 2)


@pytest.mark.parametrize(
    ("header", "why"), [("text,Hernia", "no column report_text"), ("report_text,Fish", "no label column")]
)
def test_the_bench_refuses_a_file_that_it_cannot_score(tmp_path: Path, header: str, why: str) -> None:
    (tmp_path / "file.csv").write_text(header + "\na,0\n", encoding="utf-8")
    with pytest.raises(UsageError, match=why):
        bench_findings(tmp_path / "file.csv")


@pytest.mark.slow
def test_labels_of_the_manually_labelled_reports(shared_data: Path) -> None:
    scores = bench_findings(shared_data / "ctrate/reports_labelled_dev.csv")
    assert scores["label_set"] == "ct-rate"
    assert scores["micro_f1"] >= 0.94
    assert scores["macro_f1"] >= 0.94
