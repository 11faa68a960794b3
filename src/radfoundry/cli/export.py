"""`radfoundry export OUT FORMAT DST`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

Format = Literal["radgenome", "m3d", "llava", "jsonl"]
Use = Literal["research", "commercial", "redistribute"]


def export(
    out: Path,
    format: Format,
    dst: Path,
    *,
    use: tuple[Use, ...] = ("research",),
    root: Path | None = None,
    json: bool = False,
) -> Any:
    """Write a corpus in a published layout: tables, conversations, images and masks as other people's readers expect them.

    Parameters
    ----------
    out
        The corpus folder.
    format
        `radgenome` (CT: region reports and question tables), `m3d`, `llava` (conversations and PNG) or `jsonl` (everything, plainly).
    dst
        A folder that is empty or not there. It appears whole at the end, or not at all.
    use
        What it is for. Studies with a licence that forbids one of the uses are left out; give it once a use.
    root
        Where the source images lie now, if they have moved since the build.
    json
        Print the report as a JSON line.
    """
    from dataclasses import asdict

    from radfoundry import formats
    from radfoundry.cli import console
    from radfoundry.corpus import Corpus

    corpus = Corpus(out, root=root)
    with console.meter(f"export {format}") as shown:
        done = formats.export_corpus(corpus, format, dst, use, lambda n, total: shown.update(n, total))
    if json:
        console.say_json(asdict(done))
        return done
    rows = [*done.counts.items(), ("studies left out by licence", done.studies_left_out)]
    console.say_table(str(dst), ["what", "count"], rows)
    console.say(f"for {', '.join(done.uses)}; all rows together stand under: {done.licence or 'no licence named'}")
    console.say_next(f"less {dst / 'export.json'}")
    return done
