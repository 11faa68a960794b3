"""`radfoundry build KIND SRC OUT`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

Kind = Literal["grounded-report", "m3d", "description", "instruction", "summary"]


def build(
    kind: Kind,
    src: Path,
    out: Path,
    *,
    table: Path | None = None,
    regions: tuple[str, ...] = (),
    segmenter: tuple[str, ...] = (),
    workers: int | None = None,
    engine: str = "local",
    limit: int | None = None,
    only: Collection[str] | None = None,
    retry_rejected: bool = False,
    plan: bool = False,
    salt_file: Path | None = None,
    json: bool = False,
) -> Any:
    """Build a corpus from studies; run again, it goes on where it stopped and gives the same bytes.

    Parameters
    ----------
    kind
        What to make of the studies.
    src
        A folder or file: DICOM, NIfTI, pictures, zips; or the address of a DICOMweb server, fetched into OUT-dicom.
    out
        The corpus folder.
    table
        A CSV with the columns image, report, patient, mask; optional study, prior, split, licence, labels.
    regions
        For m3d: ask about these regions alone.
    segmenter
        Where regions come from besides the studies' own masks: totalsegmentator, totalsegmentator-mr, a TOML file of your own
        (docs/segmenters.md), or masks:FOLDER for RadGenome's published mask folders. May be given several times.
    workers
        Processes; all cores if not given, 0 for this process alone.
    engine
        "local", or "ray" on a cluster.
    limit
        Build so many studies, drawn fairly.
    only
        Build these studies alone.
    retry_rejected
        Do waves with rejected rows again.
    plan
        Build nothing; say how many, how long and how many GB, from measured rates.
    salt_file
        The file whose secret makes patient ids; OUT/salt.txt if not given.
    json
        Print the report as a JSON line.
    """
    import shlex
    import sys

    from radfoundry import builders, corpus
    from radfoundry.cli import console
    from radfoundry.cli.card_pictures import card_pictures
    from radfoundry.cli.opening import common_root, engine_runner, found_studies, on_disk
    from radfoundry.grounding.experts import open_segmenter

    src = on_disk(src, out.with_name(f"{out.name}-dicom"))
    found = found_studies(src, table)
    salt = builders.corpus_salt(salt_file or out / "salt.txt", [s.patient_key for s in found.studies])
    root = common_root(found.studies)
    segmenters = [open_segmenter(what, here=engine == "local") for what in segmenter]
    pipeline = builders.pipeline(kind, root, salt, regions, segmenters)
    if plan:
        return _say_plan(corpus.estimate_build(found.studies, pipeline, out, workers=workers), json)
    with console.meter(f"build {kind}") as shown:
        report = corpus.build(
            found.studies,
            pipeline,
            out,
            runner=engine_runner(engine, workers),
            workers=workers,
            limit=limit,
            only=only,
            retry_rejected=retry_rejected,
            problems=found.problems,
            info=corpus.CorpusInfo(title=f"{kind} corpus", source_root=str(root)),
            progress=lambda pace: shown.update(
                pace.skipped + pace.done, pace.total, f"{pace.rows_per_second:.1f} studies/s", pace.seconds_left
            ),
            pictures=card_pictures,
            command=shlex.join(["radfoundry", *sys.argv[1:]]),
        )
    if json:
        console.say_json({"out": str(out), "rows": report.rows, "rejected": report.rejected, "seconds": report.seconds})
        return report
    console.say_table(f"{out}", ["table", "rows"], sorted(report.rows.items()))
    _say_rejected(out, report)
    console.say(f"{report.waves_done} waves done, {report.waves_skipped} done before, {report.seconds:.1f} s")
    console.say_next(f"radfoundry show {out}", f"radfoundry train {out} --model nano")
    return report


def _say_rejected(out: Path, report: Any) -> None:
    from radfoundry.cli import console
    from radfoundry.corpus import Corpus

    if not report.rejected:
        return
    rows = Corpus(out).rows("rejected")
    shown = [(r.key, r.step, r.reason, r.mend) for r in rows[:10]]
    console.say_table(f"rejected: {len(rows)} (first {len(shown)})", ["what", "step", "reason", "mend"], shown)


def _say_plan(estimate: Any, json: bool) -> Any:
    from radfoundry.cli import console

    rows = [
        ("studies", estimate.sources),
        ("done before", estimate.done),
        ("measured", estimate.measured),
        ("workers", estimate.workers),
        ("seconds a study", round(estimate.seconds_per_source, 3)),
        ("hours to the end", round(estimate.hours, 4)),
        ("GB on disk", round(estimate.gigabytes, 4)),
        ("GPU hours", round(estimate.gpu_hours, 4)),
    ]
    if json:
        console.say_json(dict(rows))
    else:
        console.say_table("plan", ["", "value"], rows)
    return estimate
