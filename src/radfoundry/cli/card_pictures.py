"""What a corpus's card shows: a few of its studies on one sheet, their regions drawn over them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import PIL.Image

    from radfoundry.corpus import Corpus

__all__ = ["card_pictures"]

_MOST = 6


def card_pictures(corpus: Corpus) -> dict[str, bytes]:
    """Return `studies.png`, a sheet of up to six studies; nothing where no image can be read any more."""
    from radfoundry.viewing import contact_sheet

    drawn = list(islice(_drawn(corpus), _MOST))
    if not drawn:
        return {}
    sink = io.BytesIO()
    contact_sheet(drawn, columns=min(3, len(drawn)), cell=300).save(sink, "PNG", optimize=True)
    return {"studies.png": sink.getvalue()}


def _drawn(corpus: Corpus) -> Iterator[PIL.Image.Image]:
    """One image a study, those with the most regions first: they show what the corpus is about."""
    from radfoundry.cli.picturing import draw_image
    from radfoundry.errors import RowError

    regions, tried = corpus.rows("regions"), set[str]()
    labelled = Counter(region.image_id for region in regions)
    for image in sorted(corpus.rows("images"), key=lambda i: (-labelled[i.image_id], i.image_id))[: 4 * _MOST]:
        if image.study_id not in tried:
            tried.add(image.study_id)
            try:
                yield draw_image(corpus, image, regions)
            except RowError:  # a source that has moved costs the card a picture, not the corpus its card
                continue
