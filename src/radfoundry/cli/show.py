"""`radfoundry show OUT [ID]`."""

from __future__ import annotations

from pathlib import Path


def show(out: Path, row: str = "", *, to: Path | None = None, limit: int = 24) -> Path:
    """Make pictures and pages of a corpus: an index, a page a study, an overlay a labelled image.

    Parameters
    ----------
    out
        The corpus folder.
    row
        One study, image or region id; all studies if not given.
    to
        Where to write; OUT/show if not given.
    limit
        So many studies at most.
    """
    from radfoundry.cli import console
    from radfoundry.cli.picturing import CorpusPages
    from radfoundry.corpus import Corpus

    corpus = Corpus(out)
    folder = to or out / "show"
    pages = CorpusPages(corpus, folder)
    studies = pages.studies(row)[:limit]
    with console.meter("show") as shown:
        for number, study in enumerate(studies, start=1):
            pages.write_study(study)
            shown.update(number, len(studies))
    index = pages.write_index()
    console.say(f"{len(studies)} studies: {index}")
    console.say_next(f"xdg-open {index}")
    return index
