"""The engine: what goes in comes out, what cannot is named, what is done is not done again."""

from __future__ import annotations

import fcntl
import json
import random
from pathlib import Path

import pytest
from corpus_toys import GpuToys, ToySource, ToyStep, content, toy_pipeline, toys

from radfoundry.corpus import Corpus, Pace, Pipeline, StepError, build
from radfoundry.corpus.runners import LocalRunner
from radfoundry.errors import MachineError, UsageError
from radfoundry.protocols import Batch
from radfoundry.records import Rejected


def keys_in(out: Path) -> list[str]:
    return sorted(study.source for study in Corpus(out).rows("studies"))


def test_every_source_becomes_rows(tmp_path: Path) -> None:
    report = build(toys(10), toy_pipeline(), tmp_path, workers=0)
    assert keys_in(tmp_path) == [source.key for source in toys(10)]
    assert report.rows == {"images": 10, "regions": 10, "reports": 10, "samples": 10, "studies": 10}
    assert (report.sources, report.rejected, report.waves_skipped) == (10, 0, 0)
    assert set(report.step_seconds) == {"read", "segment", "ask"}


def test_the_order_of_the_sources_does_not_change_a_byte(tmp_path: Path) -> None:
    shuffled = toys(13)
    random.Random(1).shuffle(shuffled)
    build(toys(13), toy_pipeline(), tmp_path / "a", workers=0)
    build(shuffled, toy_pipeline(), tmp_path / "b", workers=0)
    assert content(tmp_path / "a") == content(tmp_path / "b")


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_how_many_go_through_the_steps_together_does_not_change_a_byte(tmp_path: Path, batch_rows: int) -> None:
    faults = {"study-0003": "row", "study-0008": "row"}
    build(toys(13, faults), toy_pipeline(), tmp_path / "a", workers=0)
    build(toys(13, faults), toy_pipeline(batch_rows=batch_rows), tmp_path / "b", workers=0)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_step_sees_no_more_sources_than_a_batch_has(tmp_path: Path) -> None:
    seen: list[int] = []

    class Look(ToyStep):
        name = "look"

        def run(self, batch: Batch) -> Batch:
            seen.append(len(batch.table("sources")) + len(batch.arrays))
            return Batch()

    build(toys(9), toy_pipeline(9, extra=[Look()], batch_rows=2), tmp_path, workers=0)
    assert seen == [4, 4, 4, 4, 2]


def test_a_refused_row_is_named_and_its_wave_goes_on(tmp_path: Path) -> None:
    report = build(toys(10, {"study-0003": "row"}), toy_pipeline(), tmp_path, workers=0)
    (rejected,) = Corpus(tmp_path).rows("rejected")
    assert rejected == Rejected(
        "study-0003",
        "read",
        "UnreadableError",
        "truncated",
        "the file is cut short: study-0003 ends early",
        "copy it again",
    )
    assert (report.rejected, report.rows["studies"], "study-0003" in keys_in(tmp_path)) == (1, 9, False)


def test_a_refused_row_leaves_no_rows_of_earlier_steps(tmp_path: Path) -> None:
    class Refuse(ToyStep):
        name = "refuse"

        def run(self, batch: Batch) -> Batch:
            if any(source.key == "study-0001" for source in batch.table("sources")):
                from radfoundry.errors import LimitError

                raise LimitError("too large")
            return Batch()

    build(toys(4), toy_pipeline(extra=[Refuse()]), tmp_path, workers=0)
    assert keys_in(tmp_path) == ["study-0000", "study-0002", "study-0003"]
    assert [row.step for row in Corpus(tmp_path).rows("rejected")] == ["refuse"]


def test_a_bug_stops_the_build_with_the_key_and_the_line_that_shows_it_again(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"read 1 failed on study-0005") as caught:
        build(toys(9, {"study-0005": "bug"}), toy_pipeline(9), tmp_path, workers=0, command="radfoundry build toys A B")
    assert "ZeroDivisionError" in caught.value.why
    assert "radfoundry build toys A B --only study-0005 --workers 0" in caught.value.mend


def test_a_bug_that_shows_only_in_company_still_stops_the_build(tmp_path: Path) -> None:
    class Sociable(ToyStep):
        name = "sociable"

        def run(self, batch: Batch) -> Batch:
            return {1: Batch()}[len(batch.table("sources"))]

    with pytest.raises(StepError, match="sociable"):
        build(toys(3), toy_pipeline(extra=[Sociable()]), tmp_path, workers=0)


def test_a_machine_that_keeps_failing_stops_the_build_after_three_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radfoundry.corpus.wave._FIRST_PAUSE_S", 0)
    with pytest.raises(MachineError, match="failed 3 times"):
        build(toys(3, {"study-0001": "machine"}), toy_pipeline(), tmp_path, workers=0)


def test_a_table_that_nobody_knows_is_a_bug(tmp_path: Path) -> None:
    class Invent(ToyStep):
        name = "invent"

        def run(self, batch: Batch) -> Batch:
            return Batch(rows={"notes": ["?"], "_scratch": [1]})

    with pytest.raises(StepError, match="filled 'notes'"):
        build(toys(1), toy_pipeline(extra=[Invent()]), tmp_path, workers=0)


@pytest.mark.parametrize("row", ["no row at all", Rejected("key", "step", "class", "code", 7, "mend")])
def test_a_row_that_does_not_fit_its_table_is_a_bug(tmp_path: Path, row: object) -> None:
    class Misfit(ToyStep):
        name = "misfit"

        def run(self, batch: Batch) -> Batch:
            return Batch(rows={"rejected": [row]})

    with pytest.raises(StepError, match="do not fit the table rejected"):
        build(toys(1), toy_pipeline(extra=[Misfit()]), tmp_path, workers=0)


def test_a_file_outside_the_label_maps_is_a_bug(tmp_path: Path) -> None:
    class Escape(ToyStep):
        name = "escape"

        def run(self, batch: Batch) -> Batch:
            return Batch(files={"labelmaps/../../evil": b"x"})

    with pytest.raises(StepError, match="may not write"):
        build(toys(1), toy_pipeline(extra=[Escape()]), tmp_path, workers=0)


def test_what_is_done_is_skipped(tmp_path: Path) -> None:
    first = build(toys(10), toy_pipeline(), tmp_path, workers=0)
    before = content(tmp_path)
    second = build(toys(10), toy_pipeline(), tmp_path, workers=0)
    assert (second.waves_done, second.waves_skipped, second.rows) == (0, first.waves_done, first.rows)
    assert content(tmp_path) == before


def test_changed_settings_do_the_waves_again(tmp_path: Path) -> None:
    pipeline = toy_pipeline()
    build(toys(6), pipeline, tmp_path, workers=0)
    pipeline.steps[1].threshold = 500  # type: ignore[attr-defined]
    again = build(toys(6), Pipeline("toys", pipeline.steps, 4), tmp_path, workers=0)
    assert again.waves_skipped == 0
    assert all(region.voxels < 100 for region in Corpus(tmp_path).rows("regions"))


def test_a_limit_is_a_start_that_the_full_build_keeps(tmp_path: Path) -> None:
    report = build(toys(30), toy_pipeline(), tmp_path / "a", workers=0, limit=10)
    assert (report.sources, len(keys_in(tmp_path / "a"))) == (10, 10)
    rest = build(toys(30), toy_pipeline(), tmp_path / "a", workers=0)
    assert rest.waves_skipped >= report.waves_done - 1
    build(toys(30), toy_pipeline(), tmp_path / "b", workers=0)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_only_builds_what_is_named_and_loses_nothing(tmp_path: Path) -> None:
    build(toys(30), toy_pipeline(), tmp_path, workers=0, only=["study-0007"])
    assert keys_in(tmp_path) == ["study-0007"]
    build(toys(30), toy_pipeline(), tmp_path, workers=0, limit=20)
    whole = keys_in(tmp_path)
    build(toys(30), toy_pipeline(), tmp_path, workers=0, only=["study-0007"])
    assert keys_in(tmp_path) == whole
    assert "study-0007" in whole


def test_only_with_an_unknown_key_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no source 'study-9999'"):
        build(toys(3), toy_pipeline(), tmp_path, workers=0, only=["study-9999"])


def test_retry_rejected_gives_what_an_undisturbed_build_gives(tmp_path: Path) -> None:
    build(toys(12, {"study-0003": "row"}), toy_pipeline(), tmp_path / "a", workers=0)
    again = build(toys(12), toy_pipeline(), tmp_path / "a", workers=0, retry_rejected=True)
    assert again.waves_done == 1
    build(toys(12), toy_pipeline(), tmp_path / "b", workers=0)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_corpus_that_grows_keeps_its_waves_and_ends_as_if_built_at_once(tmp_path: Path) -> None:
    build(toys(40), toy_pipeline(), tmp_path / "a", workers=0)
    grown = build(toys(41), toy_pipeline(), tmp_path / "a", workers=0)
    assert grown.waves_done <= 2
    build(toys(41), toy_pipeline(), tmp_path / "b", workers=0)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_sources_that_are_gone_take_their_rows_with_them(tmp_path: Path) -> None:
    build(toys(40), toy_pipeline(), tmp_path / "a", workers=0)
    build(toys(12), toy_pipeline(), tmp_path / "a", workers=0)
    build(toys(12), toy_pipeline(), tmp_path / "b", workers=0)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_strays_without_a_manifest_are_ignored_and_swept(tmp_path: Path) -> None:
    build(toys(6), toy_pipeline(), tmp_path, workers=0)
    before = content(tmp_path)
    copy = next((tmp_path / "tables" / "studies").iterdir())
    (tmp_path / "tables" / "studies" / "w111111.parquet").write_bytes(copy.read_bytes())
    (tmp_path / "labelmaps" / "zz").mkdir()
    (tmp_path / "labelmaps" / "zz" / "img_zz.toy.nii.gz").write_bytes(b"half")
    assert len(keys_in(tmp_path)) == 6
    build(toys(6), toy_pipeline(), tmp_path, workers=0)
    assert content(tmp_path) == before


def test_a_second_source_of_one_key_is_rejected(tmp_path: Path) -> None:
    build([*toys(5), ToySource("study-0002")], toy_pipeline(), tmp_path, workers=0)
    assert [(row.key, row.code) for row in Corpus(tmp_path).rows("rejected")] == [("study-0002", "duplicate-key")]
    assert len(keys_in(tmp_path)) == 5


def test_what_discovery_refused_is_in_the_rejected_table(tmp_path: Path) -> None:
    problem = Rejected("notes.docx", "discover", "UnreadableError", "not-an-image", "a text", "leave it")
    build(toys(3), toy_pipeline(), tmp_path, workers=0, problems=[problem])
    assert Corpus(tmp_path).rows("rejected") == [problem]
    build(toys(3), toy_pipeline(), tmp_path, workers=0)
    assert Corpus(tmp_path).rows("rejected") == []


def test_one_folder_has_one_builder_at_a_time(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another build"):
            build(toys(1), toy_pipeline(), tmp_path, workers=0)


def test_two_kinds_do_not_mix_in_one_folder(tmp_path: Path) -> None:
    build(toys(1), toy_pipeline(), tmp_path, workers=0)
    with pytest.raises(UsageError, match="made by 'toys'"):
        build(toys(1), Pipeline("others", toy_pipeline().steps), tmp_path, workers=0)


def test_progress_counts_rows_and_tells_rate_and_time_left(tmp_path: Path) -> None:
    seen: list[Pace] = []
    build(toys(10, {"study-0001": "row"}), toy_pipeline(), tmp_path, workers=0, progress=seen.append)
    last = seen[-1]
    assert [pace.done for pace in seen] == sorted(pace.done for pace in seen)
    assert (last.total, last.done, last.left, last.rejected, last.seconds_left) == (10, 10, 0, 1, 0.0)
    assert all(step.rows_per_second > 0 for step in last.steps)
    middle = seen[0]
    assert middle.seconds_left == pytest.approx(middle.left / middle.rows_per_second)


def test_no_key_of_a_source_is_in_a_manifest(tmp_path: Path) -> None:
    build(toys(5), toy_pipeline(), tmp_path, workers=0)
    assert not any(b"study-" in path.read_bytes() for path in (tmp_path / "waves").iterdir())
    manifest = json.loads(next((tmp_path / "waves").iterdir()).read_bytes())
    assert all(len(name) == 16 for name in manifest["inputs"])


def test_two_processes_write_the_same_bytes_as_this_one(tmp_path: Path) -> None:
    build(toys(20, {"study-0003": "row"}), toy_pipeline(), tmp_path / "a", workers=0)
    build(toys(20, {"study-0003": "row"}), toy_pipeline(), tmp_path / "b", workers=2)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_the_row_that_kills_its_worker_is_found_and_rejected(tmp_path: Path) -> None:
    build(toys(12, {"study-0007": "kill"}), toy_pipeline(4), tmp_path, workers=2)
    (rejected,) = Corpus(tmp_path).rows("rejected")
    assert (rejected.key, rejected.code) == ("study-0007", "worker-died")
    assert len(keys_in(tmp_path)) == 11


def test_a_worker_killed_by_someone_else_loses_nothing(tmp_path: Path) -> None:
    build(toys(8), toy_pipeline(once=str(tmp_path / "o")), tmp_path / "a", workers=0)
    sources = toys(8, {"study-0004": "kill-once"})
    report = build(sources, toy_pipeline(once=str(tmp_path / "o")), tmp_path / "b", workers=2)
    assert (tmp_path / "o").exists()
    assert report.rejected == 0
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_steps_that_workers_cannot_import_are_named(tmp_path: Path) -> None:
    class Local(ToyStep):
        name = "local"

    with pytest.raises(UsageError, match="cannot go to worker processes"):
        build(toys(1), toy_pipeline(extra=[Local()]), tmp_path, runner=LocalRunner(1))


def test_two_steps_of_one_name_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="cannot run"):
        Pipeline("twice", [ToyStep.__new__(type("A", (ToyStep,), {"name": "a"})) for _ in range(2)])


def test_a_gpu_step_has_one_process_inside_at_a_time(tmp_path: Path) -> None:
    report = build(toys(12), toy_pipeline(2, extra=[GpuToys(str(tmp_path))]), tmp_path / "corpus", workers=2)
    assert report.rows["studies"] == 12
