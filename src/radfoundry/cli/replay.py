"""`radfoundry replay OUT ROW`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radfoundry.corpus import Corpus, Stage


def replay(
    out: Path,
    row: str,
    *,
    src: Path | None = None,
    table: Path | None = None,
    regions: tuple[str, ...] = (),
    json: bool = False,
) -> Any:
    """Run one study of a corpus through its steps again, in this process, and show what each adds; nothing is written.

    A bug in a step comes with its whole traceback.

    Parameters
    ----------
    out
        The corpus folder.
    row
        The id of any row of the corpus, or a source's key: as the table `rejected` and the engine's errors name it.
    src
        Where the studies lie; what the build was given if not given.
    table
        The CSV of the build; what the build was given if `src` is not given.
    regions
        The regions of the build; what the build was given if `src` is not given.
    json
        Print a JSON line a step.
    """
    from radfoundry import builders, corpus
    from radfoundry.cli import console
    from radfoundry.cli.opening import common_root, found_studies
    from radfoundry.ids import make_id

    opened = corpus.Corpus(out)
    salt_file = out / "salt.txt"
    if src is None:
        given = _build_words(out)
        src, table, regions = given["src"], given.get("table"), given.get("regions", ())
        salt_file = given.get("salt_file") or salt_file
    found = found_studies(src, table)
    salt = builders.corpus_salt(salt_file, [study.patient_key for study in found.studies])
    keys = {make_id("study", salt, study.key): study.key for study in found.studies}
    pipeline = builders.pipeline(opened.about["pipeline"], common_root(found.studies), salt, regions)
    key = keys.get(study_of(opened, row)) or _source_of(row, keys.values())
    stages = corpus.replay(found.studies, pipeline, key)
    for number, stage in enumerate(stages, start=1):
        _say(stage, number, json)
    if not json:
        console.say_next(f"radfoundry show {out}")
    return stages


def _build_words(out: Path) -> dict[str, Any]:
    """Return the arguments of the `build` that made a corpus, its paths as they were meant where it was typed."""
    import shlex

    from radfoundry.cli import parse_words
    from radfoundry.corpus.about import read_command
    from radfoundry.errors import UsageError

    folder, command = read_command(out)
    words = shlex.split(command)
    if words[:2] != ["radfoundry", "build"]:
        raise UsageError(
            f"{out} does not say how it was built",
            "it was not built by the command line",
            "give --src, and --table if one was used",
        )
    given = parse_words(words[1:])
    return {name: folder / value if isinstance(value, Path) else value for name, value in given.items()}


def study_of(corpus: Corpus, row: str) -> str:
    """Return the study that a row belongs to, whichever table it is in; the row's own name where no table has it."""
    way_up = {
        "regions": ("region_id", "image_id", "images"), "descriptions": ("description_id", "image_id", "images"),
        "links": ("link_id", "sentence_id", "sentences"), "findings": ("finding_id", "sentence_id", "sentences"),
        "sentences": ("sentence_id", "report_id", "reports"), "samples": ("sample_id", "study_id", ""),
        "reports": ("report_id", "study_id", ""), "images": ("image_id", "study_id", ""),
    }  # fmt: skip
    import pyarrow.compute as pc

    for table, (key, parent, _) in way_up.items():
        found = corpus.table(table, columns=[parent], where=pc.field(key) == row)
        if found.num_rows:
            return study_of(corpus, found[parent][0].as_py())
    return row


def _source_of(row: str, keys: Iterable[str]) -> str:
    """Return the source that a row of `rejected` is about: it may name one image of it after a colon."""
    return max((key for key in keys if row == key or row.startswith(f"{key}:")), key=len, default=row)


def _say(stage: Stage, number: int, json: bool) -> None:
    from radfoundry.cli import console

    rows = {table: len(added) for table, added in sorted(stage.added.rows.items())}
    refused = str(stage.refused) if stage.refused else ""
    if json:
        facts = {"step": stage.step, "seconds": stage.seconds, "rows": rows, "files": len(stage.added.files)}
        console.say_json(facts | {"refused": refused})
        return
    shown = [(table, count, _first(stage.added.rows[table])) for table, count in rows.items()]
    console.say_table(f"{number}. {stage.step}, {stage.seconds:.3f} s", ["table", "rows", "first of them"], shown)
    if refused:
        console.say(f"refused: {refused}")


def _first(rows: list[Any]) -> str:
    text = repr(rows[0]) if rows else ""
    return text if len(text) < 200 else f"{text[:200]} ..."
