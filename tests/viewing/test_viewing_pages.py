from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from PIL import Image

from radfoundry.records import Finding, Link, MadeBy, Measure, Part, Region, Report, Sample, Sentence, Study, Turn
from radfoundry.viewing import (
    PagePicture,
    PageSection,
    Score,
    StudyCard,
    count_chart,
    index_page,
    region_colour,
    report_page,
    score_chart,
    study_page,
)  # fmt: skip

_EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' {{ 7*7 }} </style>"
_MADE = MadeBy("test", "1")
_STUDY = Study("sty_1", "pat_1", ("CT",), body_part="chest", split="train")


class _Reader(HTMLParser):
    """Collect the elements, their addresses and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(text: str = "FINDINGS: Heart is normal. There is a nodule.", **more: object) -> str:
    at = text.rindex("There") if "There" in text else 0
    sentences = [
        Sentence("sen_2", "rep_1", "findings", 1, at, len(text), text[at:]),
        Sentence("sen_1", "rep_1", "findings", 0, 10, 26, text[10:26]),
    ]
    links = [
        Link("lnk_1", "sen_1", None, "img_1", "heart", "none", "reg_1", True, "", ("heart",), "exact", 0.9),
        Link("lnk_2", "sen_2", "fnd_1", None, "", "none", None, False, "no place named", (), "none", 1.0),
    ]
    return study_page(
        _STUDY,
        reports=[Report("rep_1", "sty_1", "en", text, ())],
        sentences=sentences,
        links=links,
        regions=[
            Region("reg_1", "img_1", "heart", "none", "ts", 1, 10, 2500.0, (0, 0, 0, 1, 2, 3), (0.0,), 40.0, 9.0, _MADE)
        ],
        findings=[Finding("fnd_1", "sen_2", "nodule", "present", "", "none", None, (Measure((7.0,), "7 mm"),), 0, 5)],
        **more,
    )


def test_a_sentence_carries_the_colour_of_its_region_and_leads_to_it() -> None:
    page = _page()
    assert f"border-color: {region_colour('heart')}" in page
    assert 'href="#reg_1"' in page
    assert 'id="reg_1"' in page


def test_a_sentence_without_a_place_says_why() -> None:
    assert 'title="no place named"' in _page()


def test_the_report_is_shown_whole_and_in_order() -> None:
    assert "FINDINGS: Heart is normal. There is a nodule." in _Reader(_page()).text


@pytest.mark.parametrize("where", ["report", "name", "card", "section"])
def test_text_is_text_and_never_markup(where: str) -> None:
    pages = {
        "report": lambda: _page("FINDINGS: Heart is normal. There is " + _EVIL),
        "name": lambda: study_page(
            Study(_EVIL, "p", (_EVIL,)),
            regions=[Region(_EVIL, "i", _EVIL, "left", "t", 1, 1, 0.0, (0, 0, 1, 1), (0.0,), 0.0, 0.0, _MADE)],
            pictures=[PagePicture(Image.new("L", (4, 4)), _EVIL)],
            samples=[
                Sample(
                    _EVIL,
                    "s",
                    (),
                    "chat",
                    (Turn("user", (Part("text", _EVIL),)),),
                    "open",
                    (),
                    (),
                    (),
                    (_EVIL,),
                    "",
                    "",
                    _MADE,
                )
            ],
        ),
        "card": lambda: index_page(_EVIL, [StudyCard("javascript:alert(1)", _EVIL, (_EVIL,))]),
        "section": lambda: report_page(
            _EVIL,
            [
                PageSection(
                    _EVIL,
                    (_EVIL,),
                    (_EVIL,),
                    ((_EVIL,),),
                    (count_chart({_EVIL: 3}), score_chart([Score(_EVIL, 1, 1, 1, 1)])),
                )
            ],
        ),
    }
    page = _Reader(pages[where]())
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for name, value in page.attributes if name == "href" and (value or "").startswith("javascript")]
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text


def test_nothing_on_a_page_is_fetched() -> None:
    page = _page(pictures=[PagePicture(Image.new("RGB", (8, 8)), "a slice")])
    reader = _Reader(page)
    addresses = [value or "" for name, value in reader.attributes if name in ("src", "href")]
    assert addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert "default-src 'none'" in page
    assert "http:" not in page
    assert "https:" not in page


def test_every_page_says_research_use_only() -> None:
    for page in (_page(), index_page("corpus", []), report_page("demo", [])):
        assert "Research use only" in page


def test_an_index_leads_to_its_studies_with_quoted_addresses() -> None:
    assert 'href="./a%20%231.html"' in index_page(
        "corpus", [StudyCard("a #1.html", "a", thumbnail=Image.new("L", (4, 4)))]
    )


def test_samples_show_what_was_asked_and_what_was_answered() -> None:
    turns = (
        Turn("user", (Part("image", ref="img_1"), Part("text", "Is there a nodule?"))),
        Turn("assistant", (Part("text", "Yes."),)),
    )
    sample = Sample(
        "smp_1", "sty_1", ("img_1",), "presence", turns, "closed", ("yes", "no"), (), (), ("fnd_1",), "train", "", _MADE
    )
    page = _page(samples=[sample])
    assert "Is there a nodule?" in page
    assert "Yes." in page
    assert 'href="#fnd_1"' in page


def test_sizes_are_volumes_areas_or_pixels() -> None:
    box3, box2 = (0, 0, 0, 1, 1, 1), (0, 0, 1, 1)
    rows = [(2500.0, box3, "2.50 mL"), (120.0, box2, "120 mm2"), (0.0, box2, "7 px")]
    for mm3, box, words in rows:
        region = Region("reg_1", "img_1", "heart", "none", "t", 1, 7, mm3, box, (0.0,), 0.0, 0.0, _MADE)
        assert words in study_page(_STUDY, regions=[region])


def test_charts_are_well_formed_and_put_values_where_they_say() -> None:
    svg = ElementTree.fromstring(score_chart([Score("a", 0.5, 0.25, 0.75, 10, blind=0.0), Score("b", 1.5, -1, 2, 3)]))  # noqa: S314
    dots = [c for c in svg if c.tag == "circle"]
    assert [(c.get("class"), c.get("cx")) for c in dots] == [("blind", "230.0"), ("value", "400.0"), ("value", "570.0")]


def test_counts_are_bars_longest_first() -> None:
    svg = ElementTree.fromstring(count_chart({"a": 1, "b": 4, "c": 0}))  # noqa: S314
    assert [float(r.get("width", "")) for r in svg if r.tag == "rect"] == [340.0, 85.0, 0.0]
    assert [t.text for t in svg if t.get("text-anchor") == "end"] == ["b", "a", "c"]


def test_charts_of_nothing_are_empty_and_do_not_fail() -> None:
    for svg in (count_chart({}), score_chart([]), count_chart({"a": 0})):
        ElementTree.fromstring(svg)  # noqa: S314
