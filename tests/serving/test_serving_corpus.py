"""The rooms Corpus and Review: what was built, verdicts that last, readers that agree or do not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from serving_helpers import ask, client_of, ready

from radfoundry.corpus import Corpus
from radfoundry.serving.review_routes import cohen_kappa


@pytest.fixture(scope="module")
def out(phantom_corpora, tmp_path_factory) -> Path:
    """A corpus of its own, since verdicts are written into it."""
    return shutil.copytree(phantom_corpora["grounded-report"].path, tmp_path_factory.mktemp("review") / "corpus")


@pytest.fixture(scope="module")
def served(answerer, out: Path) -> Iterator[TestClient]:
    with client_of(answerer, out=out) as client:
        yield ready(client)


def test_a_corpus_says_what_it_holds_and_what_can_be_filtered_by(served, out) -> None:
    about = served.get("/v1/corpus").json()
    assert about["counts"]["studies"] == Corpus(out).table("studies").num_rows
    assert {"CT"} <= set(about["filters"]["modality"])
    assert about["filters"]["rule"]
    assert about["filters"]["region"]
    assert "grounded-report" in about["filters"]["builder"]


def test_pages_of_studies_join_to_the_whole_list(served) -> None:
    whole = served.get("/v1/corpus/studies?limit=500").json()
    assert whole["next"] is None
    found, after = [], ""
    while after is not None:
        page = served.get(f"/v1/corpus/studies?limit=2&after={after}").json()
        found, after = found + page["data"], page["next"]
    assert found == whole["data"]


def test_filters_leave_only_what_fits(served) -> None:
    studies = served.get("/v1/corpus/studies?limit=500").json()["data"]
    finding = next(f for study in studies for f in study["findings"])
    some = served.get(f"/v1/corpus/studies?limit=500&finding={finding}&modality=CT").json()["data"]
    assert some == [s for s in studies if finding in s["findings"] and "CT" in s["modalities"]]


def test_a_study_comes_with_everything_that_hangs_on_it(served) -> None:
    row = max(served.get("/v1/corpus/studies?limit=500").json()["data"], key=lambda s: s["links"])
    study = served.get(f"/v1/corpus/studies/{row['study_id']}").json()
    for table in ("images", "sentences", "links", "samples"):
        assert len(study[table]) == row[table]
    report = {r["report_id"]: r["text"] for r in study["reports"]}
    for sentence in study["sentences"]:
        assert report[sentence["report_id"]][sentence["start"] : sentence["end"]] == sentence["text"]
    known = {region["region_id"] for region in study["regions"]}
    assert {link["region_id"] for link in study["links"] if link["region_id"]} <= known
    image = study["images"][0]
    assert served.get(f"/v1/files/{image['image_id']}/volume").status_code == 200
    assert served.get(f"/v1/masks/{image['masks'][0]['mask_id']}").status_code == 200


def test_a_study_of_the_corpus_can_be_asked_about(served) -> None:
    study = served.get("/v1/corpus/studies").json()["data"][0]["study_id"]
    content = [{"type": "volume", "volume": {"study_id": study}}, {"type": "text", "text": "What do you see?"}]
    assert ask(served, content)["choices"][0]["message"]["radfoundry"]["about"]["images"]


def test_rejected_rows_are_listed(served, out) -> None:
    assert len(served.get("/v1/corpus/rejected?limit=500").json()["data"]) == Corpus(out).table("rejected").num_rows


def test_a_text_finds_the_study_that_it_was_taken_from_and_a_study_finds_texts(served, out) -> None:
    reports = Corpus(out).table("reports").to_pylist()
    found = served.post("/v1/retrieval", json={"text": reports[0]["text"], "limit": 3}).json()["data"]
    assert found[0]["text"] == reports[0]["text"]
    assert found == sorted(found, key=lambda row: -row["score"])
    image = Corpus(out).table("images").to_pylist()[0]
    found = served.post("/v1/retrieval", json={"image_id": image["image_id"]}).json()["data"]
    assert found[0]["study_id"] == image["study_id"]
    assert found[0]["score"] == pytest.approx(1, abs=1e-3)
    assert served.post("/v1/retrieval", json={"text": "zzzz"}).json()["data"] == []
    assert served.post("/v1/retrieval", json={"text": "a", "image_id": "b"}).status_code == 400


def verdict(client, row_id: str, said: str, reader: str, note: str = ""):
    return client.post("/v1/reviews", json={"row_id": row_id, "verdict": said, "note": note, "reader": reader})


def test_a_verdict_is_in_the_table_and_survives_another_server(served, answerer, out) -> None:
    case = served.get("/v1/reviews/queue?reader=r1").json()["data"][0]
    row = verdict(served, case["row_id"], "wrong", "r1", "<b>no</b>").json()
    assert (row["verdict"], row["reader"], row["note"]) == ("wrong", "r1", "<b>no</b>")
    assert row in Corpus(out).table("reviews").to_pylist()
    again = verdict(served, case["row_id"], "right", "r1").json()
    assert again["review_id"] == row["review_id"]
    with client_of(answerer, out=out) as other:
        assert other.get("/v1/reviews?reader=r1").json()["data"] == [again]
    assert [r["verdict"] for r in Corpus(out).table("reviews").to_pylist()] == ["right"]


def test_the_queue_leaves_out_what_its_reader_has_judged_and_no_one_else(served) -> None:
    before = served.get("/v1/reviews/queue?reader=r2&limit=3").json()
    verdict(served, before["data"][0]["row_id"], "unsure", "r2")
    after = served.get("/v1/reviews/queue?reader=r2&limit=2").json()
    assert after["data"] == before["data"][1:]
    assert (after["judged"], after["total"]) == (before["judged"] + 1, before["total"])
    assert served.get("/v1/reviews/queue?reader=r3&limit=3").json()["data"] == before["data"]


@pytest.mark.parametrize("kind", ["link", "sample"])
def test_every_case_can_be_shown(served, kind: str) -> None:
    found, after = [], ""
    while after is not None:
        page = served.get(f"/v1/reviews/queue?kind={kind}&limit=500&after={after}").json()
        found, after = found + page["data"], page["next"]
    assert len(found) == page["total"]
    assert len({case["row_id"] for case in found}) == len(found)
    assert all(case["claim"] and 0 <= case["confidence"] <= 1 for case in found)
    assert any(case["region"] for case in found)


def test_filters_of_the_queue_leave_what_fits(served) -> None:
    whole = served.get("/v1/reviews/queue?limit=500").json()["data"]
    rule, label = whole[0]["rule"], next(case["region"]["label"] for case in whole if case["region"])
    for query, fits in (
        (f"rule={rule}", lambda c: c["rule"] == rule),
        (f"region={label}", lambda c: label in c["claim"]),
        ("max_confidence=0.9", lambda c: c["confidence"] < 0.9),
        ("builder=nobody", lambda c: False),
    ):
        some = served.get(f"/v1/reviews/queue?limit=500&{query}").json()["data"]
        assert [c["row_id"] for c in some] == [c["row_id"] for c in whole if fits(c)]


def test_readers_who_differ_are_shown_where(served) -> None:
    cases = served.get("/v1/reviews/queue?limit=4&reader=nobody").json()["data"]
    for number, case in enumerate(cases):
        verdict(served, case["row_id"], "right", "a")
        verdict(served, case["row_id"], "right" if number else "wrong", "b")
    found = served.get("/v1/reviews/agreement").json()
    (pair,) = [p for p in found["pairs"] if (p["a"], p["b"]) == ("a", "b")]
    assert (pair["n"], pair["agree"]) == (4, 3)
    split = next(d for d in found["disagreements"] if {"a", "b"} <= set(d["verdicts"]))
    assert split["case"]["row_id"] == cases[0]["row_id"]


def test_an_unknown_row_and_an_unknown_verdict_are_refused(served) -> None:
    assert verdict(served, "lnk_0", "right", "a").status_code == 404
    assert verdict(served, "lnk_0", "maybe", "a").status_code == 400
    assert served.get("/v1/reviews/queue?kind=other").status_code == 400
    assert served.get("/v1/reviews/queue?max_confidence=nan").status_code == 400


def test_kappa_is_cohens() -> None:
    assert cohen_kappa(["right"] * 20 + ["wrong"] * 5 + ["right"] * 10 + ["wrong"] * 15,
                       ["right"] * 25 + ["wrong"] * 25) == pytest.approx(0.4)  # fmt: skip
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["right"], ["right"]) is None
