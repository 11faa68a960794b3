"""A corpus as pictures and pages: what `show`, `ask` and `demo` draw."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from radfoundry.errors import UsageError
from radfoundry.records import Image, Region, Study
from radfoundry.viewing import PagePicture, StudyCard, draw_study, index_page, study_page

if TYPE_CHECKING:
    import PIL.Image

    from radfoundry.corpus import Corpus

__all__ = ["CorpusPages", "draw_image"]


def draw_image(corpus: Corpus, image: Image, regions: list[Region], title: str = "") -> PIL.Image.Image:
    """Return an image of a corpus with its regions drawn over it, the patient's sides marked."""
    pixels, _ = corpus.image(image.image_id)
    sets = Counter(r.label_set for r in regions if r.image_id == image.image_id)
    labels, names = None, {}
    if sets:
        label_set = sets.most_common(1)[0][0]
        labels = corpus.labelmap(image.image_id, label_set)
        names = {r.label_value: r.name for r in regions if r.image_id == image.image_id and r.label_set == label_set}
    return draw_study(pixels, image.grid, labels, names, title=title, modality=image.modality, view=image.view)


class CorpusPages:
    """Writes a corpus's pages below a folder: `index.html`, `<study>.html`, `<image>.png`."""

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        self.corpus, self.folder = corpus, folder
        self.images: list[Image] = corpus.rows("images")
        self.regions: list[Region] = corpus.rows("regions")
        self._cards: list[StudyCard] = []
        folder.mkdir(parents=True, exist_ok=True)

    def studies(self, row: str = "") -> list[Study]:
        """Return all studies, or the one that holds a study, image or region id. Raises UsageError for an unknown id."""
        studies: list[Study] = self.corpus.rows("studies")
        if not row:
            return studies
        image_id = next((r.image_id for r in self.regions if r.region_id == row), row)
        study_id = next((i.study_id for i in self.images if i.image_id == image_id), row)
        found = [s for s in studies if s.study_id == study_id]
        if not found:
            raise UsageError(f"no study, image or region {row!r} in {self.corpus.path}", mend="see tables/studies")
        return found

    def write_study(self, study: Study) -> Path:
        """Draw a study's images and write its page."""
        images = [i for i in self.images if i.study_id == study.study_id]
        ids = {i.image_id for i in images}
        regions = [r for r in self.regions if r.image_id in ids]
        pictures = [self._picture(image, regions) for image in images]
        reports = [r for r in self.corpus.rows("reports") if r.study_id == study.study_id]
        report_ids = {r.report_id for r in reports}
        sentences = [s for s in self.corpus.rows("sentences") if s.report_id in report_ids]
        sentence_ids = {s.sentence_id for s in sentences}
        page = study_page(
            study,
            pictures=pictures,
            reports=reports,
            sentences=sentences,
            findings=[f for f in self.corpus.rows("findings") if f.sentence_id in sentence_ids],
            links=[
                k for k in self.corpus.rows("links") if k.sentence_id in sentence_ids and k.image_id in {None, *ids}
            ],
            regions=regions,
            samples=[s for s in self.corpus.samples() if s.study_id == study.study_id],
        )
        path = self.folder / f"{study.study_id}.html"
        path.write_text(page, encoding="utf-8")
        thumbnail = pictures[0].image if pictures else None
        self._cards.append(StudyCard(path.name, study.study_id, (", ".join(study.modalities), study.split), thumbnail))
        return path

    def write_index(self) -> Path:
        """Write the page that leads to the studies written so far."""
        path = self.folder / "index.html"
        path.write_text(index_page(self.corpus.path.name, self._cards), encoding="utf-8")
        return path

    def _picture(self, image: Image, regions: list[Region]) -> PagePicture:
        drawn = draw_image(self.corpus, image, regions)
        drawn.save(self.folder / f"{image.image_id}.png")
        return PagePicture(drawn, f"{image.modality} {image.view}")
