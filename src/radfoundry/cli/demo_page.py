"""The demo's last page: scores beside their blind controls, an answer on a slice, what was built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from radfoundry.cli.picturing import CorpusPages
from radfoundry.corpus import Corpus
from radfoundry.evaluation.running import RunResult
from radfoundry.protocols import Answer
from radfoundry.viewing import PagePicture, PageSection, Score, report_page, score_chart

__all__ = ["write_demo_page"]


def write_demo_page(out: Path, corpora: Mapping[str, Path], result: RunResult, answer: Answer, seconds: float) -> Path:
    """Write `report.html` and the pages of the first studies of each corpus; return its path."""
    sections = [_scores("m3d", result)]
    sections.append(
        PageSection(
            "An answer on a slice",
            paragraphs=(answer.text,),
            pictures=(PagePicture(Image.open(out / "answer" / "answer.png"), "asked: Segment the heart."),),
        )
    )
    sections.append(_corpora(corpora))
    sections += [_pictures(kind, corpora[kind]) for kind in ("m3d", "grounded-report")]
    sections.append(
        PageSection(
            "How this was made", paragraphs=(f"radfoundry demo, {seconds:.0f} s on this machine. Research use only.",)
        )
    )
    path = out / "report.html"
    path.write_text(report_page("radfoundry demo", sections), encoding="utf-8")
    return path


def _scores(kind: str, result: RunResult) -> PageSection:
    rows, marks = [], []
    for s in (s for s in result.scores if s.scorer == "native" and s.primary):
        rows.append(
            (
                s.name,
                s.score.n,
                _number(s.score.value),
                f"{_number(s.score.low)} to {_number(s.score.high)}",
                _number(s.best_blind),
            )
        )
        if s.score.value is not None and s.score.low is not None and s.score.high is not None:
            marks.append(Score(s.name, s.score.value, s.score.low, s.score.high, s.score.n, s.best_blind))
    return PageSection(
        f"Scores on {kind}, unseen patients",
        paragraphs=(
            "The best blind control is the highest score that the same questions reach without the right image.",
        ),
        columns=("score", "n", "value", "95 % interval", "best blind control"),
        rows=tuple(rows),
        charts=(score_chart(marks),),
    )


def _corpora(corpora: Mapping[str, Path]) -> PageSection:
    rows = []
    for kind, folder in corpora.items():
        counts = Corpus(folder).about["rows"]
        rows.append(
            (kind, *(counts.get(t, 0) for t in ("studies", "images", "regions", "links", "samples", "rejected")))
        )
    return PageSection(
        "Corpora", columns=("kind", "studies", "images", "regions", "links", "samples", "rejected"), rows=tuple(rows)
    )


def _pictures(kind: str, folder: Path) -> PageSection:
    pages = CorpusPages(Corpus(folder), folder / "show")
    studies = [s for s in pages.studies() if s.split == "test"][:3]
    for study in studies:
        pages.write_study(study)
    index = pages.write_index()
    pictures = sorted((folder / "show").glob("img_*.png"))[:4]
    return PageSection(
        f"Studies of {kind}",
        paragraphs=(f"Pages: {index}",),
        pictures=tuple(PagePicture(Image.open(p), "") for p in pictures),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
