"""Self-contained pages: one HTML file each, no script, nothing fetched, all text from reports escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from PIL import Image

from radfoundry import __version__
from radfoundry.records import Finding, Link, Region, Report, Sample, Sentence, Study
from radfoundry.viewing.palette import region_colour
from radfoundry.viewing.templating import render

__all__ = ["PagePicture", "PageSection", "StudyCard", "index_page", "report_page", "study_page"]


@dataclass(frozen=True)
class PagePicture:
    """A picture of a page and the line under it."""

    image: Image.Image
    caption: str = ""


@dataclass(frozen=True)
class StudyCard:
    """A study on the index: its page's file name beside the index, its name, a few words about it, a small picture."""

    file: str
    name: str
    facts: tuple[str, ...] = ()
    thumbnail: Image.Image | None = None


@dataclass(frozen=True)
class PageSection:
    """A part of a results page, in the order of the fields; numbers in rows are set to the right."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()
    charts: tuple[Markup, ...] = ()
    pictures: tuple[PagePicture, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class _Piece:
    """A run of report text: a sentence with its links and the colour of the first that has a place, or what lies between."""

    text: str
    sentence: Sentence | None = None
    links: tuple[Link, ...] = ()
    colour: str = ""


def study_page(
    study: Study,
    *,
    pictures: Sequence[PagePicture] = (),
    reports: Sequence[Report] = (),
    sentences: Sequence[Sentence] = (),
    findings: Sequence[Finding] = (),
    links: Sequence[Link] = (),
    regions: Sequence[Region] = (),
    samples: Sequence[Sample] = (),
) -> str:
    """Return the page of one study: pictures beside its report, whose sentences carry the colours of their regions, then tables."""
    facts = (", ".join(study.modalities), study.body_part, study.age_group, study.sex, study.split, study.licence)
    return _page(
        "study.html.j2",
        study.study_id,
        facts=[fact for fact in facts if fact],
        pictures=pictures,
        reports=[list(_pieces(report, sentences, links)) for report in reports],
        texts={sentence.sentence_id: sentence.text for sentence in sentences},
        findings=findings,
        links=links,
        regions=regions,
        samples=samples,
    )


def index_page(title: str, cards: Sequence[StudyCard]) -> str:
    """Return the page that leads to the study pages beside it."""
    return _page("index.html.j2", title, cards=cards)


def report_page(title: str, sections: Sequence[PageSection]) -> str:
    """Return a page of results: paragraphs, tables, charts and pictures under headings."""
    return _page("report.html.j2", title, sections=sections)


def _page(template: str, title: str, **values: object) -> str:
    return str(render(template, title=title, version=__version__, **values))


def _pieces(report: Report, sentences: Sequence[Sentence], links: Sequence[Link]) -> Iterator[_Piece]:
    """Cut a report into sentences and what lies between them; together they are the text."""
    at = 0
    for sentence in sorted((s for s in sentences if s.report_id == report.report_id), key=lambda s: s.start):
        if sentence.start > at:
            yield _Piece(report.text[at : sentence.start])
        own = tuple(link for link in links if link.sentence_id == sentence.sentence_id)
        placed = [region_colour(link.name, link.side) for link in own if link.region_id]
        yield _Piece(report.text[sentence.start : sentence.end], sentence, own, placed[0] if placed else "")
        at = sentence.end
    if at < len(report.text):
        yield _Piece(report.text[at:])
